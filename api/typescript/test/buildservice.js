// Builds the service that the tests run against.
import { execFileSync } from "node:child_process";

const root = new URL("../../..", import.meta.url).pathname;
execFileSync("go", ["build", "-o", "api/typescript/build/authservice", "./cmd/authservice"], { cwd: root, stdio: "inherit" });
