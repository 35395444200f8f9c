import type { ErrorCode } from "./codes.gen.js";
import { retryAfter } from "./retry.js";
import type { Problem } from "./schema.gen.js";

/** A refusal by the service: an RFC 9457 problem. Decide by its `code`, best with {@link isCode}. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;
  /** What happened, for programs; empty if the answer is not the service's own but, say, a proxy's. */
  readonly code: ErrorCode;
  /** The values that are wrong, of `validation_failed`. */
  readonly errors: Problem["errors"];
  /** The id of the request in the service's logs. */
  readonly requestId: string;
  /** Of `insufficient_credits`: what the request needs, what is available, and the difference; else 0. */
  readonly required: number;
  readonly available: number;
  readonly shortfall: number;
  /** How long the service asks to wait, in milliseconds; 0 if it does not. */
  readonly retryAfter: number;

  constructor(response: Response, body: unknown) {
    const p = isProblem(response, body) ? body : {};
    const detail = p.detail ?? (response.statusText || "no detail");
    const fields = (p.errors ?? []).map((e) => ` ${e.pointer} ${e.message}.`).join("");
    super(`${response.status} ${p.code ? p.code + " " : ""}${detail}${fields}`);
    this.status = response.status;
    this.code = p.code ?? "";
    this.errors = p.errors;
    this.requestId = p.request_id ?? response.headers.get("X-Request-ID") ?? "";
    this.required = p.required ?? 0;
    this.available = p.available ?? 0;
    this.shortfall = p.shortfall ?? 0;
    this.retryAfter = retryAfter(response);
  }
}

type Known = Partial<Problem & Record<"required" | "available" | "shortfall", number>>;

function isProblem(response: Response, body: unknown): body is Known {
  const media = response.headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase();
  return media === "application/problem+json" && typeof body === "object" && body !== null;
}

/** Whether an error is a refusal with one of the codes. */
export function isCode(error: unknown, ...codes: ErrorCode[]): error is ProblemError {
  return error instanceof ProblemError && codes.includes(error.code);
}
