// Runs `authservice dev --json` for the tests beside this file.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Builds the service into a directory and starts it; returns what it prints, and how to stop it. */
export async function startService(buildDirectory) {
  const program = join(buildDirectory, "authservice");
  execFileSync("go", ["build", "-o", program, "./cmd/authservice"], { cwd: new URL("..", import.meta.url).pathname, stdio: "inherit" });
  const directory = mkdtempSync(join(tmpdir(), "authservice-"));
  chmodSync(directory, 0o711); // PostgreSQL, perhaps as another user, has to pass.
  const mine = Object.entries(process.env).filter(([name]) => name !== "DATABASE_URL" && !name.startsWith("AUTH_"));
  const env = { ...Object.fromEntries(mine), AUTH_DEV_DIR: directory, AUTH_HTTP_ADDR: "127.0.0.1:0", AUTH_OPS_ADDR: "127.0.0.1:0" };
  const child = spawn(program, ["dev", "--json"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  const stop = () =>
    new Promise((resolve) => {
      child.once("exit", () => resolve(rmSync(directory, { recursive: true, force: true })));
      child.kill("SIGINT");
    });
  for await (const line of createInterface(child.stdout)) return { ...JSON.parse(line), stop };
  throw new Error(`authservice dev did not start:\n${said}`);
}
