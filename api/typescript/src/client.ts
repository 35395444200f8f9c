import createClient, { type Client as FetchClient } from "openapi-fetch";
import type { Calls, CallOptions, Operation } from "./calls.js";
import { operations } from "./operations.gen.js";
import { paged } from "./pages.js";
import { ProblemError } from "./problem.js";
import { type Harm, type Retries, sleep, waitBefore } from "./retry.js";
import type { paths, Session } from "./schema.gen.js";
import { type Credentials, fixed, Keeper } from "./session.js";

/** How a client works. */
export interface ClientOptions {
  /** Calls in the name of a backend. A key is a secret: not for browsers. */
  apiKey?: string;
  /** When requests are tried again. */
  retries?: Retries;
  /** How long one try of a request may take, in milliseconds; 30,000 by default. */
  timeout?: number;
  /** Sends requests in place of the global fetch. */
  fetch?: (request: Request) => Promise<Response>;
}

/** What is known of a call before it is made. */
interface Traits extends CallOptions {
  public?: boolean;
  stream?: boolean;
  /** Does no harm when it is sent twice. */
  harmless?: boolean;
  retries?: Retries;
}

interface AnyInput extends CallOptions {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
  idempotencyKey?: string;
}

/**
 * An exchange whose answer was lost may be repeated for 30 seconds, unless the deployment says otherwise; after that a
 * repetition looks like the use of a stolen token.
 */
const refreshWithin = 25_000;
const refreshRetries: Retries = { attempts: Infinity, minWait: 100, maxWait: 2000 };

// Methods come from the table of operations.
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging
export interface AuthClient extends Calls {}

/**
 * Calls the service in somebody's name: in nobody's, in a backend's (`apiKey`), or in that of a person who has logged in
 * ({@link AuthClient.withSession}). Every operation of the contract is a method, named after its operationId. Refusals are
 * thrown as {@link ProblemError}.
 */
export class AuthClient {
  /**
   * The openapi-fetch client below, with credentials, retries and timeouts, for the rare case that needs the whole answer.
   * It throws nothing for a refusal, and makes no Idempotency-Key.
   */
  readonly raw: FetchClient<paths>;
  readonly #server: string;
  readonly #options: ClientOptions;
  readonly #caller: Credentials | undefined;

  /** @param baseUrl Where the service is, such as `https://auth.example.com`. A path is kept. */
  constructor(baseUrl: string, options?: ClientOptions);
  /** @internal */
  constructor(baseUrl: string, options?: ClientOptions, caller?: Credentials);
  constructor(baseUrl: string, options: ClientOptions = {}, caller?: Credentials) {
    this.#server = checkedUrl(baseUrl);
    this.#options = options;
    if (caller === undefined && options.apiKey !== undefined) {
      if (!/^ask_[!-~]+$/.test(options.apiKey)) throw new TypeError("an API key has the form ask_<id>_<secret>");
      caller = fixed("X-API-Key", options.apiKey);
    }
    this.#caller = caller;
    this.raw = createClient<paths>({
      baseUrl: this.#server,
      redirect: "error", // Credentials go where they were meant to go, nowhere else.
      fetch: (request) => this.#send(request, { harmless: request.headers.has("Idempotency-Key"), signal: request.signal }),
    });
  }

  /**
   * A client that calls in the name of the person whose session this is: from `logIn`, `registerUser`, or from where the
   * last one was stored. It exchanges the refresh token before the access token ends, once for all calls, and again when
   * the service says that the access token is not valid.
   *
   * Each exchange makes the session before it void. Whoever keeps sessions, to go on with them later, is told of the new
   * one by `changed` before it is used.
   *
   * When the session has ended calls throw a {@link ProblemError} with `invalid_refresh_token` or
   * `refresh_token_reused`; the person has to log in again. Make one client for a session and share it.
   */
  withSession(session: Session, changed: (session: Session) => unknown = () => undefined): AuthClient {
    const anonymous = this.#as(undefined);
    const refresh = (token: string): Promise<Session> =>
      anonymous.#call("refreshSession", { body: { refresh_token: token }, signal: AbortSignal.timeout(refreshWithin) }, {
        harmless: true,
        retries: refreshRetries,
      }) as Promise<Session>;
    return this.#as(new Keeper(session, refresh, changed));
  }

  /**
   * A client that calls in the name of the person whose access token this is, as long as it lasts: for a service that
   * passes on what it was called with.
   */
  withAccessToken(token: string): AuthClient {
    return this.#as(fixed("Authorization", `Bearer ${token}`));
  }

  /** The session of a client made with {@link AuthClient.withSession}, as it is now. */
  get session(): Session | undefined {
    return this.#caller instanceof Keeper ? this.#caller.session : undefined;
  }

  #as(caller: Credentials | undefined): AuthClient {
    const { apiKey: _, ...options } = this.#options;
    return new AuthClient(this.#server, options, caller);
  }

  /** @internal */
  call(id: Operation, input: AnyInput = {}): Promise<unknown> {
    const first = this.#call(id, input);
    if (!("paged" in operations[id])) return first;
    const next = (cursor: string) => this.#call(id, { ...input, query: { ...input.query, cursor } });
    return paged(first as Promise<never>, next as () => Promise<never>);
  }

  async #call(id: Operation, input: AnyInput, more: Traits = {}): Promise<unknown> {
    const operation: { method: string; path: string; public?: boolean; keyed?: boolean; stream?: boolean } = operations[id];
    const headers: Record<string, string> = {};
    if (operation.keyed) headers["Idempotency-Key"] = input.idempotencyKey ?? randomKey();
    if (input.requestId !== undefined) headers["X-Request-ID"] = input.requestId;
    const traits: Traits = { ...operation, harmless: operation.keyed ?? false, ...more, ...(input.signal && { signal: input.signal }) };
    // The table is of the contract, and so are the types of the methods; openapi-fetch cannot know that.
    const request = this.raw.request as unknown as (
      method: string,
      path: string,
      init: object,
    ) => Promise<{ data?: unknown; error?: unknown; response: Response }>;
    const { data, error, response } = await request(operation.method, operation.path, {
      params: { path: input.path, query: input.query },
      ...(input.body !== undefined && { body: input.body }),
      headers,
      parseAs: operation.stream ? "stream" : "json",
      fetch: (request: Request) => this.#send(request, traits),
    });
    if (!response.ok) throw new ProblemError(response, error);
    return data;
  }

  /** Sends a request until there is an answer, or no sense in another try. */
  async #send(original: Request, traits: Traits): Promise<Response> {
    const harm = harmOf(original.method, traits);
    let renewed = false;
    for (let attempts = 1; ; attempts++) {
      const request = original.clone();
      const caller = traits.public ? undefined : this.#caller;
      const used = await aborted(caller?.authorize(request.headers), traits.signal);
      let outcome: { response: Response } | { error: unknown };
      try {
        outcome = { response: await this.#try(request, traits) };
      } catch (error) {
        traits.signal?.throwIfAborted();
        outcome = { error };
      }
      if ("response" in outcome && caller && !renewed && tokenRefused(outcome.response)) {
        renewed = true;
        if (await aborted(caller.renew(used ?? ""), traits.signal)) {
          attempts--; // The service has not looked at the request itself.
          continue;
        }
      }
      const wait = waitBefore(traits.retries ?? this.#options.retries ?? {}, attempts, harm, outcome);
      if (wait === undefined) {
        if ("response" in outcome) return outcome.response;
        throw outcome.error;
      }
      await sleep(wait, traits.signal);
    }
  }

  /** Sends a request once. Unless it is streamed the answer is read to its end, so that one that breaks off counts as lost. */
  async #try(request: Request, traits: Traits): Promise<Response> {
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new DOMException("no answer in time", "TimeoutError")),
      this.#options.timeout ?? 30_000,
    );
    const signal = traits.signal ? AbortSignal.any([traits.signal, timeout.signal]) : timeout.signal;
    try {
      const response = await (this.#options.fetch ?? fetch)(new Request(request, { signal }));
      if (traits.stream && response.ok) return response;
      const body = await response.arrayBuffer();
      const { status, statusText, headers } = response;
      return new Response(body.byteLength > 0 ? body : null, { status, statusText, headers });
    } finally {
      clearTimeout(timer);
    }
  }
}

for (const id of Object.keys(operations) as Operation[]) {
  Object.defineProperty(AuthClient.prototype, id, {
    configurable: true,
    writable: true,
    value(this: AuthClient, input?: AnyInput) {
      return this.call(id, input);
    },
  });
}

function harmOf(method: string, traits: Traits): Harm {
  if (traits.harmless || method === "GET" || method === "HEAD") return "none";
  return method === "POST" && !traits.public ? "harms" : "confuses"; // Who is not logged in yet makes nothing twice.
}

function checkedUrl(baseUrl: string): string {
  const url = new URL(baseUrl);
  if (!["http:", "https:"].includes(url.protocol) || url.username || url.password || url.search || url.hash)
    throw new TypeError("the base URL must be http(s)://host[:port][/path]");
  return url.href.replace(/\/+$/, "");
}

/** Whether an answer says that the access token is not valid, or not any more (RFC 6750, section 3.1). */
function tokenRefused(response: Response): boolean {
  return response.status === 401 && (response.headers.get("WWW-Authenticate") ?? "").includes('error="invalid_token"');
}

/** What a promise gives, unless the signal ends the waiting. */
function aborted<T>(promise: Promise<T> | undefined, signal: AbortSignal | undefined): Promise<T | undefined> {
  if (!signal || !promise) return Promise.resolve(promise);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** 122 random bits. Not crypto.randomUUID, which pages without TLS do not have. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
