// What a person does with an account, in Chromium, on what `authservice dev` serves: registers, opens the mailbox,
// confirms the address, forgets the password, chooses a new one and logs in. Any step that does not happen fails.
//
//   BASE_URL, MAILBOX_URL   of a running dev
//   CHROMIUM                the browser
//   SCREENSHOTS             a directory
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const { BASE_URL, MAILBOX_URL, CHROMIUM, SCREENSHOTS } = process.env;
const email = `ada.${Date.now()}@example.com`;
const first = 'correct horse battery staple';
const second = 'four words nobody guesses';

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    '--no-sandbox', // Tests may run as root.
    '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});
const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1100, height: 900 } });
context.setDefaultTimeout(60_000); // Machines may be slow; nothing here waits without need.

// Nobody else is asked for anything, and no page breaks its own policy.
const faults = [];
context.on('request', request => {
  if (new URL(request.url()).origin !== new URL(BASE_URL).origin) faults.push(`a request to ${request.url()}`);
});
context.on('console', message => {
  if (message.type() !== 'error') return;
  // To the console these are errors too: what the API refuses, as it is meant to, and what the sandbox of a mail's
  // frame stops, which is the script by which the mail is read here.
  if (!/ 4\d\d |'allow-scripts' permission is not set/.test(message.text())) faults.push(message.text());
});
context.on('weberror', error => faults.push(String(error.error())));

let shots = 0;
const shoot = (page, name) => page.screenshot({ path: join(SCREENSHOTS, `${String(++shots).padStart(2, '0')}-${name}.png`), fullPage: true });

// call sends a request from Swagger UI, as somebody does who tries the API, and returns the status.
const call = async (operation, body) => {
  const page = await context.newPage();
  await page.goto(`${BASE_URL}/docs#/auth/${operation}`);
  const block = page.locator(`#operations-auth-${operation}`);
  await block.locator('textarea.body-param__text').fill(JSON.stringify(body));
  await block.locator('button.execute').click();
  const status = (await block.locator('.live-responses-table tbody .response-col_status').first().innerText()).trim();
  await block.locator('.live-responses-table').evaluate(table => table.scrollIntoView({ block: 'end' }));
  await page.screenshot({ path: join(SCREENSHOTS, `${String(++shots).padStart(2, '0')}-${operation}.png`) });
  await page.close();
  return Number.parseInt(status, 10);
};

// follow opens the newest mail with a subject in the mailbox, presses its button, and returns the page that opens.
const follow = async (subject, button) => {
  const page = await context.newPage();
  for (;;) {
    await page.goto(`${MAILBOX_URL}?to=${encodeURIComponent(email)}`);
    const mail = page.getByRole('link', { name: subject }).first();
    if (await mail.count()) {
      await shoot(page, 'mailbox');
      await mail.click();
      break;
    }
    await page.waitForTimeout(100); // The outbox works beside the request.
  }
  const link = page.frameLocator('iframe').getByRole('link', { name: button });
  await link.scrollIntoViewIfNeeded();
  await shoot(page, 'mail');
  const [opened] = await Promise.all([context.waitForEvent('page'), link.click()]);
  await opened.waitForLoadState();
  await page.close();
  assert(!/token|avet_|aset_/.test(opened.url()), `the address bar holds the token: ${opened.url()}`);
  return opened;
};

const says = (page, words) => page.getByRole('status').getByText(words).waitFor();

// Registers.
assert.equal(await call('registerUser', { email, password: first, name: 'Ada Lovelace' }), 201);

// Verifies: opening the link alone does nothing.
let page = await follow(/^Confirm your e-mail address/, 'Confirm address');
await shoot(page, 'verify');
await page.getByRole('button', { name: 'Confirm address' }).click();
await says(page, /is confirmed/);
await shoot(page, 'verified');

// The page that was loaded again has no token any more, and the link works once.
await page.reload();
await says(page, /open the link in your e-mail again/);
page = await follow(/^Confirm your e-mail address/, 'Confirm address');
await page.getByRole('button', { name: 'Confirm address' }).click();
await says(page, /not valid any more/);
await shoot(page, 'verified-before');

// Forgets the password, and chooses a new one; a bad one is refused and the link is still good.
assert.equal(await call('forgotPassword', { email }), 202);
page = await follow(/^Choose a new password/, 'Choose a new password');
const password = page.getByLabel('New password');
await password.fill('password123');
await page.getByRole('button', { name: 'Save password' }).click();
await says(page, /cannot be used/);
await shoot(page, 'refused');
await password.fill(second);
await page.getByLabel('Show password').check();
await shoot(page, 'reset');
await page.getByRole('button', { name: 'Save password' }).click();
await says(page, /Your password is changed/);
await shoot(page, 'changed');

// Logs in with the new one only.
assert.equal(await call('logIn', { email, password: first }), 401);
assert.equal(await call('logIn', { email, password: second }), 200);

// Was told of it all.
page = await context.newPage();
for (const subject of [/^Welcome/, /password was changed/]) {
  while (await page.getByRole('link', { name: subject }).count() === 0) {
    await page.goto(`${MAILBOX_URL}?to=${encodeURIComponent(email)}`);
  }
}
await shoot(page, 'mailbox');

// On a telephone, in the dark, in German.
const phone = await browser.newContext({ locale: 'de-AT', colorScheme: 'dark', viewport: { width: 360, height: 740 } });
page = await phone.newPage();
await page.goto(`${BASE_URL}/reset-password#token=aset_made-up`);
await page.getByRole('heading', { name: 'Wähle ein neues Passwort' }).waitFor();
await shoot(page, 'phone');
await page.getByLabel('Neues Passwort').fill(second);
await page.getByRole('button', { name: 'Passwort speichern' }).click();
await says(page, /gilt nicht mehr/);
await shoot(page, 'phone-not-valid');

await browser.close();
assert.deepEqual(faults, []);
