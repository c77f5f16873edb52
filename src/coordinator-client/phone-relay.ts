import { maxPhoneFrameChars } from "../contract/phone-frames.ts";
import { PhoneStatus, type PhoneGrant } from "../contract/phones.ts";
import { protocolVersion } from "../contract/protocol.ts";
import type { Result } from "../shared/result.ts";
import { requestHeaders } from "./edge/address.ts";
import { nodePlatform, type Socket, type SocketEvents } from "./edge/platform.ts";
import type { EdgeConfig } from "./edge-config.ts";
import { nothing, OwnBoxes } from "./relay-request.ts";

const checkTimeoutMs = 3_000;

/** A machine's pairings with phones at its coordinator. */
export class PhoneRelay extends OwnBoxes<PhoneStatus> {
  constructor(edge: Pick<EdgeConfig, "url" | "workspace" | "token">) {
    super("phone", PhoneStatus, edge);
  }

  /** @param claimHash of the phone that pairs; @param forMs in which it can */
  create(claimHash: string, forMs: number): Promise<Result<{ id: string }>> {
    return this.make({ claimHash, forMs });
  }

  /**
   * @returns null: the coordinator does not answer in time, or has no grant yet: the machine
   * connects before it sends the grant
   */
  async isPaired(id: string): Promise<boolean | null> {
    const status = await this.status(id, checkTimeoutMs);
    if (status.ok) return status.value.isPaired || null;
    return status.error.code === "unknown_phone" ? false : null;
  }

  /** Why a connection was refused, which no socket says; null: nothing was reached. */
  async refusal(id: string): Promise<"gone" | "refused" | null> {
    const status = await this.status(id, checkTimeoutMs);
    if (status.ok || status.error.code === "unreachable") return null;
    return status.error.code === "unknown_phone" ? "gone" : "refused";
  }

  grant(id: string, grant: PhoneGrant): Promise<Result<object>> {
    return this.ask(`/${id}`, { method: "PUT", output: nothing, body: grant });
  }

  /** The machine's end of the relay. */
  connect(id: string, events: SocketEvents): Socket {
    const address = this.addressOf(`/${id}/connect`).replace(/^http/, "ws");
    return nodePlatform().openSocket(address, requestHeaders(this.token, protocolVersion), events, maxPhoneFrameChars);
  }
}
