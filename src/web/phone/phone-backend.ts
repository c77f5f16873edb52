import {
  MachineFrame,
  PhoneFrame,
  phoneProtocol,
  RelayFrame,
  type PushKind,
  type PushSubscription,
} from "../../contract/phone-frames.ts";
import { closeCodes, pingText } from "../../contract/sockets.ts";
import { PhoneChannel } from "../../pairing/channel.ts";
import { randomText } from "../../pairing/sealing.ts";
import { refused, type Answer, type Backend, type OnChange, type OnState } from "../backend.ts";
import { forget, type StoredPhone } from "./stored-phone.ts";

const callTimeoutMs = 10_000;
const pingMs = 30_000;
const retryMs = { base: 1_000, most: 30_000 };
/** The machine's host may have ended in between. */
const openAgainMs = 3_000;

type Content = { readonly [K in string]: unknown };

/** The machine that this phone is paired with, over a relay that can read nothing. */
export class PhoneBackend implements Backend {
  readonly kind = "phone";
  readonly phone: StoredPhone;
  readonly #waiting = new Map<number, (answer: Answer<never>) => void>();
  /** Each waits for a session, or for the end of its patience. */
  readonly #wanting = new Set<(channel: PhoneChannel | null) => void>();
  #socket: WebSocket | null = null;
  #channel: PhoneChannel | null = null;
  /** Random value by which this page has asked for a session. */
  #asked = "";
  #lastId = 0;
  #onChange: OnChange = () => undefined;
  #onState: OnState = () => undefined;

  constructor(phone: StoredPhone) {
    this.phone = phone;
  }

  /** Whether the phone may answer requests and write to chats. */
  get canAnswer(): boolean {
    return this.phone.scope === "answer";
  }

  readonly call: Backend["call"] = async (name, input, requestId) =>
    this.#request({ name, input: { ...input }, ...(requestId === undefined ? {} : { requestId }) });

  /** @param subscription null: no more notifications */
  setPush(subscription: PushSubscription | null, kinds: readonly PushKind[]): Promise<Answer<unknown>> {
    return this.#request({ push: subscription, kinds: [...kinds] });
  }

  async signOut(): Promise<void> {
    await forget("phone");
  }

  async follow(onChange: OnChange, onState: OnState, end: AbortSignal): Promise<void> {
    this.#onChange = onChange;
    this.#onState = onState;
    for (let waitMs = retryMs.base; !end.aborted; waitMs = Math.min(2 * waitMs, retryMs.most)) {
      const address = `${location.origin.replace("http", "ws")}/v1/phones/${this.phone.id}/connect`;
      const socket = new WebSocket(address, [phoneProtocol, this.phone.access]);
      end.addEventListener("abort", () => socket.close());
      const { isOpened, code } = await this.#attend(socket);
      if (isOpened) waitMs = retryMs.base;
      if (code === closeCodes.token || (!isOpened && (await this.#isOver()))) return this.#end();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  /** The key is of no more use; the page then says how to pair again. */
  async #end(): Promise<void> {
    await forget("phone");
    location.reload();
  }

  /** Until the socket closes. */
  #attend(socket: WebSocket): Promise<{ readonly isOpened: boolean; readonly code: number }> {
    const { promise, resolve } = Promise.withResolvers<{ isOpened: boolean; code: number }>();
    let isOpened = false;
    const ping = setInterval(() => isOpened && socket.send(pingText), pingMs);
    socket.addEventListener("open", () => {
      isOpened = true;
      this.#socket = socket;
    });
    socket.addEventListener("message", ({ data }) => void this.#receive(String(data)));
    socket.addEventListener("close", ({ code }) => {
      clearInterval(ping);
      this.#socket = null;
      this.#lose();
      resolve({ isOpened, code });
    });
    return promise;
  }

  /** A refused socket does not say why, a request does. */
  async #isOver(): Promise<boolean> {
    const headers = { authorization: `Bearer ${this.phone.access}` };
    const asked = await fetch(`/v1/phones/${this.phone.id}`, { headers }).catch(() => null);
    return asked?.status === 404;
  }

  async #receive(text: string): Promise<void> {
    const read: unknown = text.startsWith("{") ? JSON.parse(text) : null;
    const relay = RelayFrame.safeParse(read);
    if (relay.success && "isThere" in relay.data) return relay.data.isThere ? this.#ask() : this.#lose();
    const frame = PhoneFrame.safeParse(read).data;
    if (frame === undefined) return;
    if ("answer" in frame) return frame.open === this.#asked ? this.#begin(frame.answer) : undefined;
    if (!("sealed" in frame)) return;
    const content = MachineFrame.safeParse(await this.#channel?.open(frame)).data;
    if (content === undefined) return;
    if ("changed" in content) return this.#onChange(content.changed);
    const finish = this.#waiting.get(content.id);
    finish?.("error" in content ? { ok: false, error: content.error } : { ok: true, value: content.value as never });
  }

  /** Asks for a session, and again while the machine does not answer. */
  #ask(): void {
    const asked = (this.#asked = randomText(16));
    this.#socket?.send(JSON.stringify({ open: asked }));
    setTimeout(() => {
      if (this.#asked === asked && this.#channel === null && this.#socket) this.#ask();
    }, openAgainMs);
  }

  async #begin(answer: string): Promise<void> {
    const channel = await PhoneChannel.open("phone", this.phone.key, this.#asked, answer);
    this.#channel = channel;
    for (const want of this.#wanting) want(channel);
    this.#wanting.clear();
    this.#onState(true);
    this.#onChange("all");
  }

  #lose(): void {
    this.#channel = null;
    this.#asked = "";
    this.#onState(false);
  }

  async #request(content: Content): Promise<Answer<never>> {
    const channel = this.#channel ?? (await this.#session());
    if (channel === null) return this.#away();
    const id = (this.#lastId += 1);
    const { promise, resolve } = Promise.withResolvers<Answer<never>>();
    this.#waiting.set(id, resolve);
    const frame = await channel.seal({ id, ...content });
    this.#socket?.send(JSON.stringify(frame));
    setTimeout(() => resolve(this.#away()), callTimeoutMs);
    return promise.finally(() => this.#waiting.delete(id));
  }

  #session(): Promise<PhoneChannel | null> {
    const { promise, resolve } = Promise.withResolvers<PhoneChannel | null>();
    this.#wanting.add(resolve);
    setTimeout(() => {
      this.#wanting.delete(resolve);
      resolve(null);
    }, callTimeoutMs);
    return promise;
  }

  #away(): Answer<never> {
    return refused("unreachable", `${this.phone.machine} is not reachable: it is off, or no chat runs there`);
  }
}
