import * as z from "zod";
import {
  HandoverClaimed,
  HandoverCreated,
  HandoverPart,
  HandoverStatus,
  type HandoverClaim,
} from "../contract/handovers.ts";
import { WireError } from "../contract/protocol.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { parseAddress, withoutLastSlashes } from "./edge/address.ts";
import type { EdgeConfig } from "./edge-config.ts";

/** Hand-overs at a coordinator, over HTTP. A call without an answer may be repeated. */

export interface RelayError {
  /** Code of the coordinator; null: it did not answer, or is none. */
  readonly code: string | null;
  readonly message: string;
}

type Answer<T> = Promise<Result<T, RelayError>>;

const timeoutMs = 30_000;
const Refused = z.object({ error: WireError });
const nothing = z.object({});

/** For the machine that gives one. */
export class GivenRelay {
  readonly #base: string;
  readonly #token: string;

  constructor({ url, workspace, token }: Pick<EdgeConfig, "url" | "workspace" | "token">) {
    this.#base = `${withoutLastSlashes(url)}/v1/workspaces/${workspace}/handovers`;
    this.#token = token;
  }

  create(facts: {
    readonly claimHash: string;
    readonly parts: number;
    readonly forMs: number;
  }): Answer<{ id: string }> {
    return this.#send("POST", "", HandoverCreated, facts);
  }

  put(id: string, part: number, envelope: string): Answer<object> {
    return this.#send("PUT", `/${id}/parts/${part}`, nothing, { envelope });
  }

  status(id: string): Answer<HandoverStatus> {
    return this.#send("GET", `/${id}`, HandoverStatus);
  }

  cancel(id: string): Answer<object> {
    return this.#send("DELETE", `/${id}`, nothing);
  }

  #send<T>(method: string, path: string, output: z.ZodType<T>, body?: object): Answer<T> {
    return send(`${this.#base}${path}`, { method, output, body, token: this.#token });
  }
}

export interface HandoverLink {
  /** Address of the coordinator. */
  readonly url: string;
  readonly id: string;
  /** 16 bytes, base64url; never sent to the coordinator. */
  readonly secret: string;
}

/** The secret is in the fragment, which no browser and no client sends. */
export function formatLink({ url, id, secret }: HandoverLink): string {
  return `${withoutLastSlashes(url)}/take#${id}.${secret}`;
}

/** @returns why it is no link of a hand-over, without quoting its secret */
export function parseLink(text: string): Result<HandoverLink, string> {
  const [, url = "", id = "", secret = ""] = /^(.+)\/take#([\w-]{44})\.([\w-]{22})$/.exec(text.trim()) ?? [];
  if (url === "") return err("this is no link of a hand-over, or not all of it: copy it again");
  const address = parseAddress(url, "any");
  return address.ok ? ok({ url, id, secret }) : address;
}

/** For the machine that takes one. */
export class TakenRelay {
  readonly #base: string;
  readonly #claim: HandoverClaim;

  constructor({ url, id }: Pick<HandoverLink, "url" | "id">, claim: HandoverClaim) {
    this.#base = `${withoutLastSlashes(url)}/v1/handovers/${id}`;
    this.#claim = claim;
  }

  claim(): Answer<{ parts: number }> {
    return this.#send("/claim", HandoverClaimed);
  }

  async read(part: number): Answer<string> {
    const answer = await this.#send(`/parts/${part}`, HandoverPart);
    return answer.ok ? ok(answer.value.envelope) : answer;
  }

  finish(): Answer<object> {
    return this.#send("/finish", nothing);
  }

  #send<T>(path: string, output: z.ZodType<T>): Answer<T> {
    return send(`${this.#base}${path}`, { method: "POST", output, body: this.#claim });
  }
}

interface Sending<T> {
  readonly method: string;
  readonly output: z.ZodType<T>;
  readonly body?: object | undefined;
  readonly token?: string;
}

async function send<T>(url: string, { method, output, body, token }: Sending<T>): Answer<T> {
  const { host } = new URL(url);
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
  if (answer === null) return err({ code: null, message: `${host} does not answer` });
  const content: unknown = await answer.json().catch(() => null);
  const parsed = answer.ok ? output.safeParse(content) : null;
  if (parsed?.success) return ok(parsed.data);
  const refused = Refused.safeParse(content);
  if (refused.success) return err({ code: refused.data.error.code, message: refused.data.error.message });
  return err({ code: null, message: `${host} answered ${answer.status}, and is no coordinator of this version` });
}
