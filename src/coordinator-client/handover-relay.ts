import type * as z from "zod";
import { HandoverClaimed, HandoverPart, HandoverStatus, type HandoverClaim } from "../contract/handovers.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { parseAddress, withoutLastSlashes } from "./edge/address.ts";
import type { EdgeConfig } from "./edge-config.ts";
import { askRelay, nothing, OwnBoxes } from "./relay-request.ts";

/** Hand-overs at a coordinator. */

/** For the machine that gives one. */
export class GivenRelay extends OwnBoxes<HandoverStatus> {
  constructor(edge: Pick<EdgeConfig, "url" | "workspace" | "token">) {
    super("handover", HandoverStatus, edge);
  }

  put(id: string, part: number, envelope: string): Promise<Result<object>> {
    return this.ask(`/${id}/parts/${part}`, { method: "PUT", output: nothing, body: { envelope } });
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

  claim(): Promise<Result<{ parts: number }>> {
    return this.#send("/claim", HandoverClaimed);
  }

  async read(part: number): Promise<Result<string>> {
    const answer = await this.#send(`/parts/${part}`, HandoverPart);
    return answer.ok ? ok(answer.value.envelope) : answer;
  }

  finish(): Promise<Result<object>> {
    return this.#send("/finish", nothing);
  }

  #send<T>(path: string, output: z.ZodType<T>): Promise<Result<T>> {
    return askRelay(`${this.#base}${path}`, { method: "POST", output, body: this.#claim });
  }
}
