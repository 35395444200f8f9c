import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { AuthClient } from "@authservice/client";
import { Network, newDirectory, password, startDev, stop } from "./setup.js";

// A program registers somebody and spends, while the service with its database is killed and started again, and with tokens
// that hardly last. It ends with exactly the balance that it should.
test("the service is killed while somebody spends", { timeout: 240_000 }, async (t) => {
  const granted = 1000, workers = 6, each = 20, kills = 3;
  const directory = newDirectory();
  const start = () => startDev(directory.path, { AUTH_ACCESS_TOKEN_TTL: "2s", AUTH_REFRESH_GRACE: "4m" });
  let service = await start();
  const network = await new Network(service.base_url).open();
  t.after(async () => {
    network.close();
    await stop(service, "SIGKILL");
    directory.remove();
  });

  const retries = { attempts: 1000, minWait: 10, maxWait: 500 };
  const backend = new AuthClient(network.url, { apiKey: service.api_key, retries });
  const session = await backend.registerUser({ body: { email: `${randomUUID()}@example.com`, password } });
  assert.ok(session);
  await backend.grantUserCredits({ path: { user_id: session.user.id }, body: { amount: granted } });

  const ada = backend.withSession(session);
  let spent = 0;
  const failures: unknown[] = [];
  let progress = () => {};
  const spend = async (worker: number) => {
    for (let i = 0; i < each; i++) {
      // An order is paid for however often it takes, once.
      for (let paid = false; !paid && !t.signal.aborted; ) {
        try {
          await ada.debitMyCredits({ body: { amount: 3 }, idempotencyKey: `order-${worker}-${i}` });
          paid = true;
        } catch (error) {
          failures.push(error);
        }
      }
      spent++;
      progress();
    }
  };
  const spending = Promise.all(Array.from({ length: workers }, (_, worker) => spend(worker)));
  for (let kill = 1; kill <= kills; kill++) {
    const enough = (workers * each * kill) / (kills + 1);
    await new Promise<void>((resolve) => (progress = () => spent >= enough && resolve()));
    await stop(service, "SIGKILL");
    service = await start();
    network.service = service.base_url;
  }
  await spending;

  const { balance, sequence } = await ada.getMyCredits();
  assert.equal(balance, granted - workers * each * 3);
  assert.equal(sequence, 1 + workers * each);
  const debits = network.requests("/v1/me/credits/debits").length, exchanges = network.requests("/v1/auth/refresh").length;
  t.diagnostic(`${debits} requests to spend, ${exchanges} exchanges, ${failures.length} calls repeated by the program`);
});
