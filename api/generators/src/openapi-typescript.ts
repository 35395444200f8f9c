import createClient from "openapi-fetch";
import type { paths } from "../build/openapi-typescript/schema";

export async function logIn(baseUrl: string, email: string, password: string): Promise<string | undefined> {
  const { data } = await createClient<paths>({ baseUrl }).POST("/v1/auth/login", { body: { email, password } });
  return data?.user.email;
}
