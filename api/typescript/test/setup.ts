import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AuthClient, type Session } from "@authservice/client";

export const password = "correct horse battery staple";

/** A running `authservice dev --json`. */
export interface Dev {
  base_url: string;
  api_key: string;
  process: ChildProcess;
}

/** A directory for a service, which PostgreSQL, perhaps as another user, can pass. */
export function newDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "authservice-ts-"));
  chmodSync(path, 0o711);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export async function startDev(directory: string, settings: Record<string, string> = {}): Promise<Dev> {
  const mine = Object.entries(process.env).filter(([name]) => name !== "DATABASE_URL" && !name.startsWith("AUTH_"));
  const child = spawn(new URL("../authservice", import.meta.url).pathname, ["dev", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...Object.fromEntries(mine),
      AUTH_DEV_DIR: directory,
      AUTH_HTTP_ADDR: "127.0.0.1:0",
      AUTH_OPS_ADDR: "127.0.0.1:0",
      AUTH_BCRYPT_COST: "4",
      AUTH_RATE_LIMIT_ENABLED: "false",
      ...settings,
    },
  });
  let said = "";
  child.stderr.on("data", (chunk) => (said += chunk));
  for await (const line of createInterface(child.stdout)) return { ...JSON.parse(line), process: child };
  throw new Error(`authservice dev did not start:\n${said}`);
}

export function stop(dev: Dev, signal: NodeJS.Signals = "SIGINT"): Promise<void> {
  return new Promise((resolve) => {
    if (dev.process.exitCode !== null || dev.process.signalCode !== null) return resolve();
    dev.process.once("exit", () => resolve());
    dev.process.kill(signal);
  });
}

/**
 * What happens to a request: it never arrives; it is carried out but the answer never arrives, or ends in its middle;
 * somebody in between answers 503, or 502 although it was carried out.
 */
export type Fault = "lost" | "unanswered" | "cut" | "busy" | "gateway";

/** Stands between the clients of a test and the service, and loses or refuses what the test wants. */
export class Network {
  url = "";
  readonly seen: IncomingMessage[] = [];
  #server: Server;

  constructor(
    public service: string,
    private readonly meddle: (request: IncomingMessage, count: number) => Fault | undefined = () => undefined,
  ) {
    this.#server = createServer((request, response) => {
      this.seen.push(request);
      const fault = this.meddle(request, this.requests(request.url!, request.method).length);
      if (fault === "lost") return void request.socket.destroy();
      if (fault === "busy") return void response.writeHead(503, { "Retry-After": "1" }).end();
      const upstream = httpRequest(this.service + request.url!, { method: request.method, headers: request.headers, agent: false }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", () => request.socket.destroy());
        answer.on("end", () => {
          const body = Buffer.concat(chunks);
          if (fault === "unanswered") return void request.socket.destroy();
          if (fault === "gateway") return void response.writeHead(502).end();
          response.writeHead(answer.statusCode!, answer.headers);
          if (fault !== "cut") return void response.end(body);
          response.write(body.subarray(0, body.length / 2), () => request.socket.destroy());
        });
      });
      // A service that dies takes its connections along.
      upstream.on("error", () => request.socket.destroy());
      request.pipe(upstream);
    });
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  requests(path: string, method?: string): IncomingMessage[] {
    return this.seen.filter((r) => r.url!.split("?")[0] === path.split("?")[0] && (method === undefined || r.method === method));
  }
}

/** Somebody new, with credits. */
export async function register(dev: Dev, credits = 0): Promise<Session> {
  const session = await new AuthClient(dev.base_url).registerUser({ body: { email: `${randomUUID()}@example.com`, password } });
  if (!session) throw new Error("no session");
  if (credits > 0) {
    const backend = new AuthClient(dev.base_url, { apiKey: dev.api_key });
    await backend.grantUserCredits({ path: { user_id: session.user.id }, body: { amount: credits } });
  }
  return session;
}

/** Meddles with the first request to a path. */
export const once = (path: string, fault: Fault) => (request: IncomingMessage, count: number) =>
  request.url === path && count === 1 ? fault : undefined;

/** Calls f many times at once. */
export const together = (f: () => Promise<unknown>) => Promise.all(Array.from({ length: 30 }, f));
