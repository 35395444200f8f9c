// Swagger UI as a person uses it, in Chromium, at a running `authservice dev --json`; and the TypeScript client in a page.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { startService } from "../devservice.js";

const here = new URL(".", import.meta.url).pathname;
const program = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const password = "correct horse battery staple";

let service, browser;
before(async () => {
  assert.ok(program, "Chromium is missing: apt-get install chromium");
  [service, browser] = await Promise.all([
    startService(here + "build"),
    chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"] }),
  ]);
});
after(async () => {
  await browser?.close();
  await service?.stop();
});

/** /docs in a page of its own, which may call nobody else, break no policy, and complain of nothing. */
async function openDocs(t, { expected, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  // Chromium complains of each refusal; a test that wants one says so.
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && !expected?.test(m.text()) && wrong.push(`console: ${m.text()}`));
  page.on("pageerror", (e) => wrong.push(`error: ${e.message}`));
  page.on("request", (r) => new URL(r.url()).origin === service.base_url || r.url().startsWith("data:") || r.url().startsWith("blob:") || wrong.push(`request: ${r.url()}`));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`)));
  page.setDefaultTimeout(60_000);
  await page.goto(service.docs_url);
  await page.locator("#operations-auth-registerUser").waitFor();
  t.after(async () => {
    await context.close();
    assert.deepEqual(wrong, []);
  });
  return page;
}

/** Fills in an operation, executes it, and returns what was answered. */
async function tryOut(page, tag, id, { body, parameters = {} } = {}) {
  const block = page.locator(`#operations-${tag}-${id}`);
  const summary = block.locator(".opblock-summary-control").first();
  if ((await summary.getAttribute("aria-expanded")) !== "true") await summary.click();
  for (const [name, value] of Object.entries(parameters)) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  if (body) await block.locator("textarea.body-param__text").fill(JSON.stringify(body));
  const answered = page.waitForResponse((r) => new URL(r.url()).pathname.startsWith("/v1/"));
  await block.getByRole("button", { name: "Execute" }).click();
  const response = await answered;
  // What the page shows is what was answered.
  const live = block.locator(".live-responses-table .response").first();
  await live.waitFor();
  assert.equal((await live.locator(".response-col_status").innerText()).trim().split(/\s/)[0], String(response.status()));
  const json = (await response.body()).length > 0 ? await response.json() : undefined;
  return { status: response.status(), json };
}

/** Enters credentials in the Authorize dialog. */
async function authorise(page, values) {
  await page.locator(".auth-wrapper .btn.authorize").first().click();
  for (const [scheme, value] of Object.entries(values)) {
    const form = page.locator(".auth-container", { has: page.locator(`h4 code:text-is("${scheme}")`) });
    await form.locator("input").fill(value);
    await form.getByRole("button", { name: /Apply credentials|Authorize/ }).click();
  }
  await page.locator(".modal-ux .close-modal").click();
}

test("register, log in, be granted, spend and look back, through Try it out", async (t) => {
  const page = await openDocs(t);
  const email = `ada-${randomUUID()}@example.com`;
  const registered = await tryOut(page, "auth", "registerUser", { body: { email, password, name: "Ada" } });
  assert.equal(registered.status, 201);
  const session = await tryOut(page, "auth", "logIn", { body: { email, password } });
  assert.equal(session.status, 200);

  // With a key: backends grant.
  await authorise(page, { apiKeyAuth: service.api_key });
  const granted = await tryOut(page, "credits", "grantUserCredits", { parameters: { user_id: session.json.user.id }, body: { amount: 10_000 } });
  assert.equal(granted.status, 201);

  // With a token: people spend.
  await authorise(page, { bearerAuth: session.json.access_token });
  const spent = await tryOut(page, "credits", "debitMyCredits", { body: { amount: 250, reference: "order-1042" } });
  assert.equal(spent.status, 201);
  assert.equal(spent.json.balance_after, 9750);
  const history = await tryOut(page, "credits", "listMyCreditTransactions");
  assert.equal(history.status, 200);
  assert.deepEqual(history.json.items.map((i) => i.amount), [-250, 10_000]);
});

test("the keyboard is enough", async (t) => {
  const page = await openDocs(t, { expected: /status of 401/ });
  const operation = page.locator("#operations-auth-logIn .opblock-summary-control").first();
  for (let i = 0; i < 200 && !(await operation.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press("Tab");
  assert.ok(await operation.evaluate((e) => e === document.activeElement), "Tab reaches the operation");
  const outline = await operation.evaluate((e) => getComputedStyle(e).outlineStyle);
  assert.notEqual(outline, "none", "and shows where it is");
  await page.keyboard.press("Enter");
  const execute = page.locator("#operations-auth-logIn").getByRole("button", { name: "Execute" });
  await execute.waitFor();
  for (let i = 0; i < 50 && !(await execute.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press("Tab");
  const answered = page.waitForResponse((r) => r.url().endsWith("/v1/auth/login"));
  await page.keyboard.press("Enter");
  assert.equal((await answered).status(), 401); // There is no ada@example.com.
});

test("it is as dark as the system", async (t) => {
  const page = await openDocs(t, { colorScheme: "dark" });
  /** Waits until background and text are as light as that. */
  const becomes = (background, text) =>
    page.waitForFunction(
      ([background, text]) => {
        const lightness = (element, property) => getComputedStyle(element)[property].match(/\d+/g).slice(0, 3).reduce((sum, n) => sum + Number(n) / 3, 0);
        const near = (value, wanted) => Math.abs(value - wanted) < 60;
        return near(lightness(document.body, "backgroundColor"), background) && near(lightness(document.querySelector(".info .title"), "color"), text);
      },
      [background, text],
    );
  await becomes(30, 230);
  await page.emulateMedia({ colorScheme: "light" });
  await becomes(250, 60);
});

test("the TypeScript client works in a page", async (t) => {
  const page = await openDocs(t, { expected: /status of 402/ });
  const { outputFiles } = await build({ entryPoints: [here + "../typescript/src/index.ts"], bundle: true, format: "iife", globalName: "authservice", platform: "browser", target: "es2022", write: false });
  await page.evaluate(outputFiles[0].text + ";window.authservice = authservice");
  const result = await page.evaluate(async ({ email, password }) => {
    const { AuthClient, isCode, Verifier } = window.authservice;
    const client = new AuthClient(location.origin);
    const session = await client.logIn({ body: { email, password } });
    const user = client.withSession({ ...session, expires_in: 0 }); // Exchanged at once.
    const before = await user.getMyCredits();
    const spent = await user.debitMyCredits({ body: { amount: 1 } });
    const types = [];
    for await (const transaction of user.listMyCreditTransactions({ query: { limit: 1 } })) types.push(transaction.type);
    const refused = await user.debitMyCredits({ body: { amount: spent.balance_after + 1 } }).catch((error) => isCode(error, "insufficient_credits"));
    const { role } = await new Verifier(location.origin).verify(user.session.access_token);
    return { exchanged: user.session.access_token !== session.access_token, spent: before.balance - spent.balance_after, types, refused, role };
  }, service.user);
  assert.deepEqual(result, { exchanged: true, spent: 1, types: ["debit", "grant"], refused: true, role: "user" });
});

// The picture of the README: npm run screenshot.
if (process.env.SCREENSHOT) {
  test("screenshot", async (t) => {
    const page = await openDocs(t, { viewport: { width: 1100, height: 900 } });
    await page.locator("#operations-credits-debitMyCredits .opblock-summary-control").first().click();
    await page.locator("#operations-credits-debitMyCredits").getByRole("button", { name: "Execute" }).waitFor();
    await page.locator("#operations-tag-credits").evaluate((element) => element.scrollIntoView());
    await page.mouse.move(0, 0);
    await page.screenshot({ path: process.env.SCREENSHOT });
  });
}
