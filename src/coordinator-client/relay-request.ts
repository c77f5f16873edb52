import * as z from "zod";
import { operations, type InputOf } from "../contract/operations.ts";
import { WireError } from "../contract/protocol.ts";
import type { BoxKind } from "../contract/sealed-boxes.ts";
import { ok, type Result, fail } from "../shared/result.ts";
import { withoutLastSlashes } from "./edge/address.ts";
import type { EdgeConfig } from "./edge-config.ts";

/** Requests about hand-overs and phones at a coordinator; each may be repeated. */

const defaultTimeoutMs = 30_000;
const Refused = z.object({ error: WireError });
/** Output of a request that answers nothing. */
export const nothing = z.object({});

interface RelayRequest<T> {
  readonly method: string;
  readonly output: z.ZodType<T>;
  readonly body?: object | undefined;
  readonly token?: string;
  readonly timeoutMs?: number | undefined;
}

/** Boxes of one kind that this machine has at its coordinator. */
export class OwnBoxes<Status> {
  readonly #base: string;
  readonly #kind: BoxKind;
  readonly #status: z.ZodType<Status>;
  protected readonly token: string;

  constructor(
    kind: BoxKind,
    status: z.ZodType<Status>,
    { url, workspace, token }: Pick<EdgeConfig, "url" | "workspace" | "token">,
  ) {
    this.#base = `${withoutLastSlashes(url)}/v1/workspaces/${workspace}`;
    this.#kind = kind;
    this.#status = status;
    this.token = token;
  }

  /** @param facts see `boxes.create` */
  make(facts: Omit<InputOf<"boxes.create">, "kind">): Promise<Result<{ id: string }>> {
    const { output } = operations["boxes.create"];
    return this.#send("/boxes", { method: "POST", output, body: { kind: this.#kind, ...facts } });
  }

  status(id: string, timeoutMs?: number): Promise<Result<Status>> {
    return this.ask(`/${id}`, { method: "GET", output: this.#status, timeoutMs });
  }

  /** Ends one at once, or those of a subject. */
  end(which: { readonly id: string } | { readonly subject: string }): Promise<Result<{ ended: number }>> {
    const { output } = operations["boxes.end"];
    return this.#send("/boxes/end", { method: "POST", output, body: { kind: this.#kind, ...which } });
  }

  protected addressOf(path: string): string {
    return `${this.#base}/${this.#kind}s${path}`;
  }

  protected ask<T>(path: string, request: Omit<RelayRequest<T>, "token">): Promise<Result<T>> {
    return askRelay(this.addressOf(path), { ...request, token: this.token });
  }

  #send<T>(path: string, request: RelayRequest<T>): Promise<Result<T>> {
    return askRelay(`${this.#base}${path}`, { ...request, token: this.token });
  }
}

export async function askRelay<T>(
  url: string,
  { method, output, body, token, timeoutMs = defaultTimeoutMs }: RelayRequest<T>,
): Promise<Result<T>> {
  const { origin } = new URL(url);
  const answer = await fetch(url, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    // A redirect could carry the token to another host.
    redirect: "error",
    signal: AbortSignal.timeout(timeoutMs),
  }).catch(() => null);
  if (answer === null) return fail("unreachable", `${origin} does not answer`);
  const content: unknown = await answer.json().catch(() => null);
  const parsed = answer.ok ? output.safeParse(content) : null;
  if (parsed?.success) return ok(parsed.data);
  const refused = Refused.safeParse(content);
  if (refused.success) return fail(refused.data.error.code, refused.data.error.message);
  return fail("bad_answer", `${origin} answered ${answer.status}, and is no coordinator of this version`);
}
