import type { PagePromise } from "./pages.js";
import type { operations } from "./schema.gen.js";
import type { operations as table } from "./operations.gen.js";

/** The operations of the contract, by operationId. */
export type Operation = keyof typeof table;

/** What every call takes besides what its operation does. */
export interface CallOptions {
  /** Ends the call. */
  signal?: AbortSignal;
  /** Sent as X-Request-ID, by which the request is found in the service's logs. */
  requestId?: string;
}

type Get<T, K extends PropertyKey> = K extends keyof T ? T[K] : never;
type Json<T> = Get<Get<T, "content">, "application/json">;
type Parameters<K extends Operation> = operations[K]["parameters"];
type Body<K extends Operation> = Json<NonNullable<Get<operations[K], "requestBody">>>;

/** A part of an input: required if it has something that is, left out if there is none. */
type Part<Name extends string, T> = [NonNullable<T>] extends [never]
  ? unknown
  : undefined extends T
    ? { [N in Name]?: T }
    : { [N in Name]: T };

type Keyed<K extends Operation> = (typeof table)[K] extends { keyed: true }
  ? {
      /**
       * Names the call, with 1 to 255 visible ASCII characters: whoever makes it again under the same name, whenever,
       * gets the first answer, and nothing is applied twice. Without it each call gets a random name, and only its own
       * retries are safe.
       */
      idempotencyKey?: string;
    }
  : unknown;

/** What a call takes: `path`, `query` and `body` as its operation has them. */
export type Input<K extends Operation> = Part<"path", Get<Parameters<K>, "path">> &
  Part<"query", Parameters<K>["query"]> &
  Part<"body", Body<K>> &
  Keyed<K> &
  CallOptions;

type Responses<K extends Operation> = operations[K]["responses"];
type Good<K extends Operation> = Extract<keyof Responses<K>, 200 | 201 | 202 | 204>;
type Content<R> = [NonNullable<Get<R, "content">>] extends [never]
  ? undefined
  : NonNullable<Get<R, "content">> extends { "application/json": infer T }
    ? T
    : ReadableStream<Uint8Array>;
type Answer<K extends Operation> = { [S in Good<K>]: Content<Responses<K>[S]> }[Good<K>];

/**
 * What a call returns: the JSON of the good answer, a page that can be iterated over to the end of its list, a stream
 * where the answer is no JSON, or nothing.
 */
export type Result<K extends Operation> = [Answer<K>] extends [undefined]
  ? Promise<void>
  : Answer<K> extends { items: (infer Item)[]; next_cursor: string | null }
    ? PagePromise<Answer<K>, Item>
    : Promise<Answer<K>>;

/** Whether a call can be made without an argument. */
type Arguments<T> = unknown extends T ? [input?: T] : object extends T ? [input?: T] : [input: T];

/** One method an operation. */
export type Calls = {
  [K in Operation]: (...args: Arguments<Input<K>>) => Result<K>;
};
