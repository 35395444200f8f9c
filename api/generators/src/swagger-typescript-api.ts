import { Api } from "../build/swagger-typescript-api/api";

export async function logIn(baseUrl: string, email: string, password: string): Promise<string | undefined> {
  const { data } = await new Api({ baseUrl }).v1.logIn({ email, password });
  return data.user.email;
}
