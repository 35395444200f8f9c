import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const root = new URL("../..", import.meta.url).pathname;

// What `npm pack` makes can be installed, runs, and its types are found, by bundlers and by Node.
test("the package is usable", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "authservice-pack-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { cwd: directory, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const [packed] = JSON.parse(execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], { cwd: root, encoding: "utf8" }));
  const files: string[] = packed.files.map((f: { path: string }) => f.path);
  for (const wanted of ["README.md", "LICENSE", "package.json", "dist/index.js", "dist/index.d.ts"]) assert.ok(files.includes(wanted), wanted);
  for (const file of files) assert.match(file, /^(dist\/|src\/|README\.md$|LICENSE$|package\.json$)/);

  writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module", private: true }));
  run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", join(directory, packed.filename));
  const installed = JSON.parse(readFileSync(join(directory, "package-lock.json"), "utf8")).packages;
  assert.deepEqual(Object.keys(installed).filter(Boolean).sort(), [
    "node_modules/@authservice/client", "node_modules/jose", "node_modules/openapi-fetch", "node_modules/openapi-typescript-helpers",
  ]);

  writeFileSync(join(directory, "use.ts"), `
    import { AuthClient, isCode, Verifier, type Transaction } from "@authservice/client";
    const client = new AuthClient("https://auth.example.com");
    const spend = (): Promise<Transaction> => client.debitMyCredits({ body: { amount: 1 } });
    console.log(typeof spend, typeof new Verifier("https://auth.example.com").verify, isCode(undefined, "user_not_found"));
  `);
  const tsc = join(root, "node_modules/.bin/tsc");
  const common = ["--strict", "--target", "es2022", "--lib", "es2022,dom,dom.iterable", "use.ts"];
  run(tsc, "--noEmit", "--module", "esnext", "--moduleResolution", "bundler", ...common);
  run(tsc, "--module", "nodenext", ...common);
  assert.equal(run("node", "use.js").trim(), "function function false");
});
