import type * as z from "zod";
import { PhoneCreated, PhoneStatus, type PhoneGrant } from "../contract/phones.ts";
import { protocolVersion } from "../contract/protocol.ts";
import type { Result } from "../shared/result.ts";
import { requestHeaders, withoutLastSlashes } from "./edge/address.ts";
import { nodePlatform, type Socket, type SocketEvents } from "./edge/platform.ts";
import type { EdgeConfig } from "./edge-config.ts";
import { askRelay, nothing } from "./relay-request.ts";

const checkTimeoutMs = 3_000;

/** A machine's pairings with phones at its coordinator. */
export class PhoneRelay {
  readonly #base: string;
  readonly #token: string;

  constructor({ url, workspace, token }: Pick<EdgeConfig, "url" | "workspace" | "token">) {
    this.#base = `${withoutLastSlashes(url)}/v1/workspaces/${workspace}/phones`;
    this.#token = token;
  }

  /** @param claimHash of the phone that pairs; @param forMs in which it can */
  create(claimHash: string, forMs: number): Promise<Result<{ id: string }>> {
    return this.#ask("POST", "", PhoneCreated, { claimHash, forMs });
  }

  status(id: string): Promise<Result<PhoneStatus>> {
    return this.#ask("GET", `/${id}`, PhoneStatus);
  }

  /**
   * @returns null: the coordinator does not answer in time, or has no grant yet: the machine
   * connects before it sends the grant
   */
  async isPaired(id: string): Promise<boolean | null> {
    const request = { method: "GET", output: PhoneStatus, token: this.#token, timeoutMs: checkTimeoutMs };
    const status = await askRelay(`${this.#base}/${id}`, request);
    if (status.ok) return status.value.isPaired || null;
    return status.error.code === "unknown_phone" ? false : null;
  }

  grant(id: string, grant: PhoneGrant): Promise<Result<object>> {
    return this.#ask("PUT", `/${id}`, nothing, grant);
  }

  remove(id: string): Promise<Result<object>> {
    return this.#ask("DELETE", `/${id}`, nothing);
  }

  /** The machine's end of the relay. */
  connect(id: string, events: SocketEvents): Socket {
    const address = `${this.#base.replace(/^http/, "ws")}/${id}/connect`;
    return nodePlatform().openSocket(address, requestHeaders(this.#token, protocolVersion), events);
  }

  #ask<T>(method: string, path: string, output: z.ZodType<T>, body?: object): Promise<Result<T>> {
    return askRelay(`${this.#base}${path}`, { method, output, body, token: this.#token });
  }
}
