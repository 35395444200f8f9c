import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { AuthClient, type Balance, bearerToken, isCode, ProblemError, type Session, type Transaction, TokenError, type User, Verifier } from "@authservice/client";
import { type Dev, type Fault, Network, newDirectory, once, password, register, startDev, stop, together } from "./setup.js";

const directory = newDirectory();
let dev: Dev;
before(async () => (dev = await startDev(directory.path)));
after(async () => {
  await stop(dev);
  directory.remove();
});

const quick = { minWait: 1 };
const debits = "/v1/me/credits/debits";
const refresh = "/v1/auth/refresh";

/** A client of the service behind a network that the test closes. */
async function behind(t: { after: (f: () => void) => void }, meddle?: ConstructorParameters<typeof Network>[1]) {
  const network = await new Network(dev.base_url, meddle).open();
  t.after(() => network.close());
  return { network, client: new AuthClient(network.url, { retries: quick }) };
}

test("register, log in, be granted, spend, look back, log out", async () => {
  const client = new AuthClient(dev.base_url);
  const registered = await client.registerUser({ body: { email: `ada-${Date.now()}@example.com`, password: "correct horse battery staple", name: "Ada" } });
  assert.ok(registered);
  const session: Session = await client.logIn({ body: { email: registered.user.email, password: "correct horse battery staple" } });

  const backend = new AuthClient(dev.base_url, { apiKey: dev.api_key });
  const granted: Transaction = await backend.grantUserCredits({ path: { user_id: session.user.id }, body: { amount: 10_000 }, idempotencyKey: "invoice-77" });
  assert.equal(granted.balance_after, 10_000);

  const ada = client.withSession(session);
  for (let i = 0; i < 2; i++) {
    const spent = await ada.debitMyCredits({ body: { amount: 250, reference: "order-1042" }, idempotencyKey: "order-1042" });
    assert.equal(spent.balance_after, 9750);
  }
  const balance: Balance = await ada.getMyCredits();
  assert.equal(balance.available, 9750);
  const history = await ada.listMyCreditTransactions();
  assert.deepEqual(history.items.map((t) => t.amount), [-250, 10_000]);
  await ada.logOut();
  await assert.rejects(ada.getMe(), (error) => isCode(error, "invalid_refresh_token"));
});

test("the types say what a call takes and gives", () => {
  const client = new AuthClient(dev.base_url);
  // Compiled, not run.
  void (async () => {
    const user: User = await client.getUser({ path: { user_id: "" } });
    const nothing: void = await client.logOut();
    const maybe: Session | undefined = await client.registerUser({ body: { email: "", password: "" } });
    for await (const u of client.listUsers({ query: { role: "admin" } })) u satisfies User;
    // @ts-expect-error a path parameter is missing
    await client.getUser();
    // @ts-expect-error a misspelt field
    await client.logIn({ body: { email: "", pasword: "" } });
    // @ts-expect-error moves no credits
    await client.getMe({ idempotencyKey: "x" });
    // @ts-expect-error has no body
    await client.logOut({ body: {} });
    return [user, nothing, maybe];
  });
});

test("refuses addresses and keys that are none", () => {
  for (const url of ["", "auth.example.com", "ftp://auth.example.com", "https://u:p@auth.example.com", "https://auth.example.com?x"])
    assert.throws(() => new AuthClient(url), TypeError, url);
  assert.throws(() => new AuthClient(dev.base_url, { apiKey: "canary" }), (error: Error) => !error.message.includes("canary"));
});

test("a service may live below a path", async () => {
  for (const path of ["", "/", "/auth", "/auth/"]) {
    let asked = "";
    const client = new AuthClient("http://127.0.0.1" + path, {
      fetch: async (r) => {
        asked = new URL(r.url).pathname;
        return new Response("{}", { headers: { "Content-Type": "application/json" } });
      },
    });
    await client.getMe();
    assert.equal(asked, path.replace(/\/$/, "") + "/v1/me");
  }
});

test("a refusal has everything that the service says", async () => {
  const ada = new AuthClient(dev.base_url).withSession(await register(dev, 100));
  await assert.rejects(ada.debitMyCredits({ body: { amount: 250 }, requestId: "order-7" }), (error) => {
    assert.ok(isCode(error, "user_not_found", "insufficient_credits"));
    assert.deepEqual([error.status, error.required, error.available, error.shortfall, error.requestId], [402, 250, 100, 150, "order-7"]);
    assert.equal(error.message, "402 insufficient_credits The account has fewer credits available than this needs.");
    return true;
  });
  await assert.rejects(ada.debitMyCredits({ body: { amount: -1 } }), (error) => {
    assert.ok(isCode(error, "validation_failed"));
    assert.deepEqual(error.errors, [{ pointer: "/amount", message: "must be at least 1" }]);
    return true;
  });
});

test("what a proxy says is an error all the same", async () => {
  const client = new AuthClient("http://127.0.0.1", { fetch: async () => new Response("<html>", { status: 403, statusText: "Forbidden" }) });
  await assert.rejects(client.getMe(), (error) => error instanceof ProblemError && error.status === 403 && error.code === "");
});

for (const fault of ["lost", "unanswered", "cut", "gateway", "busy"] satisfies Fault[]) {
  test(`spends once: ${fault}`, async (t) => {
    const { network, client } = await behind(t, once(debits, fault));
    const ada = client.withSession(await register(dev, 100));
    const spent = await ada.debitMyCredits({ body: { amount: 30 } });
    assert.equal(spent.balance_after, 70);
    assert.equal((await ada.getMyCredits()).balance, 70);
    const keys = network.requests(debits).map((r) => r.headers["idempotency-key"]);
    assert.equal(keys.length, 2);
    assert.ok(keys[0]);
    assert.equal(keys[0], keys[1], "one key a call");
    await ada.debitMyCredits({ body: { amount: 30 } });
    assert.notEqual(network.requests(debits)[2]!.headers["idempotency-key"], keys[0], "another call, another key");
  });

  test(`exchanges a session again: ${fault}`, async (t) => {
    const { network, client } = await behind(t, once(refresh, fault));
    const ada = client.withSession({ ...(await register(dev)), expires_in: 0 });
    await together(() => ada.getMe());
    assert.equal(network.requests(refresh).length, 2);
  });
}

for (const fault of ["lost", "unanswered", "gateway"] satisfies Fault[]) {
  test(`does not repeat what may have been done: ${fault}`, async (t) => {
    const { network, client } = await behind(t, once("/v1/me", fault));
    const ada = client.withSession(await register(dev));
    await assert.rejects(ada.updateMe({ body: { name: "Ada" } }));
    assert.equal(network.requests("/v1/me").length, 1);
    await ada.getMe();
  });
}

test("honours Retry-After, and gives up where it is too long", async (t) => {
  const { network, client } = await behind(t, (_, count) => (count <= 1 ? "busy" : undefined));
  const started = Date.now();
  await client.getJWKS();
  assert.ok(Date.now() - started >= 1000);
  assert.equal(network.seen.length, 2);

  const busy = await behind(t, () => "busy");
  const impatient = new AuthClient(busy.network.url, { retries: { maxWait: 1 } });
  await assert.rejects(impatient.getJWKS(), (error) => error instanceof ProblemError && error.status === 503 && error.retryAfter === 1000);
  assert.equal(busy.network.seen.length, 1);
});

test("tries nothing again that may be done twice", async (t) => {
  const { network, client } = await behind(t, once("/v1/me/email", "busy"));
  const ada = client.withSession(await register(dev));
  await assert.rejects(ada.changeMyEmail({ body: { new_email: "ada@example.com", password } }), { status: 503 });
  assert.equal(network.seen.length, 1);
});

test("gives up after six attempts, or when told so", async (t) => {
  const { network, client } = await behind(t, () => "lost");
  await assert.rejects(client.getJWKS());
  assert.equal(network.seen.length, 6);

  const controller = new AbortController();
  const other = await behind(t, () => {
    controller.abort();
    return "lost";
  });
  await assert.rejects(other.client.getJWKS({ signal: controller.signal }), { name: "AbortError" });
  assert.equal(other.network.seen.length, 1);
});

test("a try without an answer ends in time", async (t) => {
  const silent = new AuthClient("http://127.0.0.1", {
    timeout: 20,
    retries: { attempts: 2, minWait: 1 },
    fetch: (r) => new Promise((_, reject) => r.signal.addEventListener("abort", () => reject(r.signal.reason as Error))),
  });
  await assert.rejects(silent.getJWKS(), { name: "TimeoutError" });
  t.diagnostic("done");
});

test("a session is exchanged once for all calls", async (t) => {
  const { network, client } = await behind(t);
  const kept: Session[] = [];
  const ada = client.withSession({ ...(await register(dev)), expires_in: 0 }, (s) => kept.push(s));
  await together(() => ada.getMe());
  assert.equal(network.requests(refresh).length, 1);
  assert.deepEqual(kept, [ada.session]);
});

test("a token that the service takes no longer is replaced", async (t) => {
  const { network, client } = await behind(t);
  const session = await register(dev);
  const ada = client.withSession({ ...session, access_token: session.access_token + "x" });
  await together(() => ada.getMe());
  assert.equal(network.requests(refresh).length, 1);
});

test("who hangs up takes nobody along", async (t) => {
  const controller = new AbortController();
  const { network, client } = await behind(t, (request) => {
    if (request.url === refresh) controller.abort();
    return undefined;
  });
  const ada = client.withSession({ ...(await register(dev)), expires_in: 0 });
  await assert.rejects(ada.getMe({ signal: controller.signal }), { name: "AbortError" });
  await ada.getMe();
  assert.equal(network.requests(refresh).length, 1);
});

test("once the session has ended the client asks no more", async (t) => {
  const { network, client } = await behind(t);
  const session = await register(dev);
  await new AuthClient(dev.base_url).withAccessToken(session.access_token).logOut();
  const ada = client.withSession(session);
  await together(() => assert.rejects(ada.getMe(), (error) => isCode(error, "invalid_refresh_token")));
  const asked = network.seen.length;
  await assert.rejects(ada.getMe(), (error) => isCode(error, "invalid_refresh_token"));
  assert.equal(network.seen.length, asked);
});

test("lists go on over their pages", async (t) => {
  const { network, client } = await behind(t);
  const ada = client.withSession(await register(dev, 100));
  for (let i = 0; i < 7; i++) await ada.debitMyCredits({ body: { amount: 1 } });
  const sequences: number[] = [];
  for await (const transaction of ada.listMyCreditTransactions({ query: { limit: 3 } })) sequences.push(transaction.sequence);
  assert.deepEqual(sequences, [8, 7, 6, 5, 4, 3, 2, 1]);
  assert.equal(network.requests("/v1/me/credits/transactions").length, 3);
  await assert.rejects(ada.listMyCreditTransactions({ query: { cursor: "x" } }), (error) => isCode(error, "invalid_cursor"));
});

test("the client below gives whole answers", async () => {
  const ada = new AuthClient(dev.base_url).withSession(await register(dev, 100));
  const { data, error, response } = await ada.raw.POST("/v1/me/credits/debits", {
    params: { header: { "Idempotency-Key": "order-1" } },
    body: { amount: 250 },
  });
  assert.equal(data, undefined);
  assert.equal(error?.code, "insufficient_credits");
  assert.equal(response.status, 402);
});

test("tokens of the service are verified without it", async () => {
  let looks = 0;
  const verifier = new Verifier(dev.base_url, {
    fetch: (url, init) => {
      looks++;
      return fetch(url, init);
    },
  });
  const session = await register(dev);
  const [identity] = await together(() => verifier.verify(session.access_token));
  assert.equal((identity as { userId: string }).userId, session.user.id);
  assert.equal(looks, 1);
  assert.equal((await verifier.authenticate(`bearer ${session.access_token}`)).role, "user");
  for (const header of [undefined, null, "", "Basic x", session.access_token])
    await assert.rejects(verifier.authenticate(header), (error) => error instanceof TokenError && error.status === 401);
  assert.equal(bearerToken("Bearer x"), "x");
  await assert.rejects(new Verifier(dev.base_url, { audience: "other" }).verify(session.access_token), { status: 401 });
  await assert.rejects(new Verifier("http://127.0.0.1:1").verify(session.access_token), { status: 503 });
});
