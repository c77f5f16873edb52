import type { Failure } from "../contract/errors.ts";
import {
  maxPhoneFrameChars,
  maxPhonePages,
  phoneFrameLimits,
  phoneProtocol,
  type RelayFrame,
} from "../contract/phone-frames.ts";
import type { CheckedInputOf } from "../contract/operations.ts";
import type { PhoneGrant, PhoneStatus } from "../contract/phones.ts";
import { closeCodes, pingText, pongText } from "../contract/sockets.ts";
import { FrameBound } from "../shared/frame-bound.ts";
import { err, fail, ok, type Result } from "../shared/result.ts";
import { SealedBox, type BoxFacts } from "./sealed-box.ts";

interface Facts extends BoxFacts {
  /** Hash of the link's claim; null once the phone is paired. */
  readonly claimHash: string | null;
  readonly claimant: string | null;
  readonly introduction: string | null;
  readonly grant: string | null;
  readonly accessHash: string | null;
}

/** A phone that pairs, as the Worker has hashed its claim. */
export interface HashedClaimant {
  readonly claimHash: string;
  readonly claimant: string;
}

/** The ends of the relay, as tags of their sockets. */
type End = "machine" | "phone";
const tooMany = "too many frames: connect again after a while";

/**
 * Relays sealed frames between one phone and its machine, and stores none. An object of its own:
 * the phone has no token, and must not reach a workspace.
 */
export class PhoneBox extends SealedBox<Facts> {
  protected override readonly unknown: Failure = {
    code: "unknown_phone",
    message: "this pairing is over: run `shim pair` again",
  };

  readonly #bounds = { machine: new FrameBound(phoneFrameLimits), phone: new FrameBound(phoneFrameLimits) };

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(pingText, pongText));
  }

  async create({ claimHash }: CheckedInputOf<"boxes.create">, until: number): Promise<void> {
    await this.begin({ claimHash, claimant: null, introduction: null, grant: null, accessHash: null, until });
  }

  status(): Result<PhoneStatus> {
    const facts = this.present();
    if (!facts.ok) return facts;
    const { introduction, accessHash } = facts.value;
    return ok({ introduction, isPaired: accessHash !== null, endsInMs: this.endsInMs(facts.value) });
  }

  /** The first phone that shows the claim; its repeat changes nothing. */
  introduce(phone: HashedClaimant, introduction: string): Result<null> {
    const facts = this.#claimed(phone);
    if (!facts.ok) return facts;
    if (facts.value.introduction === null) this.save({ ...facts.value, claimant: phone.claimant, introduction });
    return ok(null);
  }

  /** The machine's user agrees: from now on the access secret opens the relay. */
  async grant({ grant, accessHash }: PhoneGrant, until: number): Promise<Result<null>> {
    const facts = this.present();
    if (!facts.ok) return facts;
    if (facts.value.introduction === null) return fail("bad_input", "no phone has opened the link yet");
    await this.begin({ ...facts.value, grant, accessHash, until });
    return ok(null);
  }

  granted(phone: HashedClaimant): Result<{ readonly grant: string | null }> {
    const facts = this.#claimed(phone);
    return facts.ok ? ok({ grant: facts.value.grant }) : facts;
  }

  /** For a phone whose socket was refused, which does not say why. */
  check(accessHash: string): Result<null> {
    return this.facts()?.accessHash === accessHash ? ok(null) : err(this.unknown);
  }

  /** Header of the Worker's request: `shim-access` of a phone, a hash; a machine has none. */
  override fetch(request: Request): Response {
    const opened = this.#admit(request.headers.get("shim-access"));
    if (!opened.ok) return Response.json(opened.error);
    const end = opened.value;
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [end]);
    const headers = new Headers(end === "phone" ? { "sec-websocket-protocol": phoneProtocol } : {});
    if (end === "machine") this.#send(server, { pages: this.#open("phone").length });
    else this.#send(server, { isThere: this.#open("machine").length > 0 });
    this.#announce(end);
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  override webSocketMessage(socket: WebSocket, frame: ArrayBuffer | string): void {
    const end = this.#endOf(socket);
    const chars = typeof frame === "string" ? frame.length : frame.byteLength;
    // Whatever comes of it, the frame was read.
    const isWithin = this.#bounds[end].take(chars, this.now());
    if (typeof frame !== "string" || chars > maxPhoneFrameChars)
      return socket.close(closeCodes.protocol, "text of at most 1,000,000 characters");
    if (this.facts() === null) return socket.close(closeCodes.token, "the pairing is over");
    if (!isWithin) return socket.close(closeCodes.flood, tooMany);
    for (const other of this.#open(end === "phone" ? "machine" : "phone")) other.send(frame);
  }

  override webSocketClose(socket: WebSocket): void {
    this.#announce(this.#endOf(socket));
  }

  override webSocketError(socket: WebSocket): void {
    this.webSocketClose(socket);
  }

  #admit(accessHash: string | null): Result<End> {
    const facts = this.facts();
    if (facts === null || facts.accessHash === null) return err(this.unknown);
    if (accessHash !== null && accessHash !== facts.accessHash) return err(this.unknown);
    const end = accessHash === null ? "machine" : "phone";
    if (!this.#bounds[end].take(0, this.now(), 0)) return fail("throttled", tooMany);
    if (end === "machine") {
      // One machine: an earlier connection is one that has broken.
      for (const socket of this.#open("machine")) socket.close(1000, "connected again");
      return ok("machine");
    }
    if (this.#open("phone").length >= maxPhonePages)
      return fail("throttled", `a phone has at most ${maxPhonePages} pages open: close one`);
    // The phone has its grant: nothing of the pairing is needed any more.
    const rest = { claimHash: null, claimant: null, introduction: null, grant: null };
    if (facts.grant !== null) this.save({ ...facts, ...rest });
    return ok("phone");
  }

  /** To the other end: this one has come or gone. */
  #announce(end: End): void {
    const count = this.#open(end).length;
    const frame: RelayFrame = end === "phone" ? { pages: count } : { isThere: count > 0 };
    for (const socket of this.#open(end === "phone" ? "machine" : "phone")) this.#send(socket, frame);
  }

  #endOf(socket: WebSocket): End {
    return this.ctx.getTags(socket).includes("phone") ? "phone" : "machine";
  }

  #send(socket: WebSocket, frame: RelayFrame): void {
    socket.send(JSON.stringify(frame));
  }

  #open(end: End): WebSocket[] {
    return this.ctx.getWebSockets(end).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  /** Refused alike: no pairing, another claim. */
  #claimed({ claimHash, claimant }: HashedClaimant): Result<Facts> {
    const facts = this.facts();
    if (facts === null || facts.claimHash !== claimHash) return err(this.unknown);
    if (facts.claimant === null || facts.claimant === claimant) return ok(facts);
    return fail("phone_claimed", "another phone has opened this link: run `shim pair` again");
  }

  override async clear(): Promise<void> {
    for (const socket of this.ctx.getWebSockets()) socket.close(closeCodes.token, "the pairing is over");
    await super.clear();
  }
}
