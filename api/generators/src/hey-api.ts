import { logIn as send } from "../build/hey-api";

export async function logIn(baseUrl: string, email: string, password: string): Promise<string | undefined> {
  const { data } = await send({ baseUrl, body: { email, password } });
  return data?.user.email;
}
