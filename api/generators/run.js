// Generates a client of the contract with each of six independent generators, compiles it, and logs in with it at a running
// `authservice dev --json`. A generator that complains, a client that does not compile, a call that fails: each fails the run.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { startService } from "../devservice.js";

const here = new URL(".", import.meta.url).pathname;
const contract = join(here, "../openapi.yaml");

/** Runs a program of node_modules/.bin, or another, in a directory below this one. */
function run(program, args, { cwd = here, env = {} } = {}) {
  try {
    return execFileSync(program, args, { cwd, encoding: "utf8", stdio: "pipe", env: { ...process.env, PATH: `${here}node_modules/.bin:${process.env.PATH}`, ...env } });
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")}\n${error.stdout ?? ""}${error.stderr ?? error}`);
  }
}

const typescript = {
  "openapi-typescript": (out) => run("openapi-typescript", [contract, "--output", `${out}/schema.ts`]),
  "hey-api": (out) => run("openapi-ts", ["--input", contract, "--output", out, "--client", "@hey-api/client-fetch", "--no-log-file"]),
  orval: (out, url) => run("orval", ["--config", "orval.config.js"], { env: { OUT: out, URL_OF_SERVICE: url } }),
  "swagger-typescript-api": (out) => run("swagger-typescript-api", ["generate", "--path", contract, "--output", out, "--name", "api.ts"]),
};

const go = {
  "oapi-codegen": (cwd) => {
    mkdirSync(`${cwd}/oapicodegen`, { recursive: true });
    run("go", ["tool", "oapi-codegen", "-generate", "models,client", "-package", "oapicodegen", "-o", "oapicodegen/client.gen.go", contract], { cwd });
  },
  ogen: (cwd) => run("go", ["tool", "ogen", "--target", "ogen", "--package", "ogen", "--clean", contract], { cwd }),
};

/** Does something, and tells how long it took. */
async function timed(what, f) {
  const started = Date.now();
  const result = await f();
  console.log(`${what} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  return result;
}

rmSync(join(here, "build"), { recursive: true, force: true });
const service = await timed("authservice dev is ready", () => startService(join(here, "build")));
let made = 0;
try {
  for (const [name, generate] of Object.entries(typescript)) {
    await timed(`${name}: generated`, () => generate(join(here, "build", name), service.base_url));
  }
  await timed("TypeScript: compiled", () => run("tsc", ["--project", "tsconfig.json"]));
  for (const name of Object.keys(typescript)) {
    const outfile = join(here, "build", name, "call.mjs");
    await build({ entryPoints: [join(here, "src", `${name}.ts`)], bundle: true, platform: "node", format: "esm", outfile, logLevel: "warning" });
    const { logIn } = await import(outfile);
    const email = await logIn(service.base_url, service.user.email, service.user.password);
    if (email !== service.user.email) throw new Error(`${name}: logged in as ${email}`);
    console.log(`${name}: logged in as ${email}`);
    made++;
  }
  const cwd = join(here, "go");
  for (const [name, generate] of Object.entries(go)) await timed(`${name}: generated`, () => generate(cwd));
  const said = await timed("Go: compiled and called", () => run("go", ["run", ".", service.base_url, service.user.email, service.user.password], { cwd }));
  process.stdout.write(said);
  made += said.trim().split("\n").length;
} finally {
  await service.stop();
}
console.log(`${made} passed, ${Object.keys(typescript).length + Object.keys(go).length - made} failed`);
