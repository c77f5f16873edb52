import type { PushKind, PushSubscription, phoneProtocol, PhoneFrame, RelayFrame } from "../../contract/phone-frames.ts";
import { closeCodes, pingText } from "../../contract/sockets.ts";
import { PhoneChannel, type SealedFrame } from "../../pairing/channel.ts";
import { randomText } from "../../pairing/sealing.ts";
import { refused, type Answer, type Backend, type OnChange, type OnState, type Refused } from "../backend.ts";
import type { StoredPhone } from "./stored-phone.ts";
import type { LiveLine } from "../../contract/live-page.ts";

/** Longest wait of a call; the shorter one while its machine is known to be away. */
const waitMs = { most: 10_000, away: 2_000 };
/** A machine that does not answer an opening is asked again. */
const openAgainMs = 3_000;
const pingMs = 30_000;
/** A coordinator that does not answer a ping for so long is not connected. */
const silentMs = 5_000;
const retryMs = { base: 1_000, most: 30_000 };

type Cancel = () => void;

export type PhoneSocket = Pick<WebSocket, "send" | "close" | "addEventListener" | "readyState" | "OPEN">;

/** The parts of the browser that the backend uses. */
export interface PhoneDeps {
  connect(phone: StoredPhone): PhoneSocket;
  /** A refused socket does not say why: whether the coordinator no longer knows the pairing. */
  isOver(phone: StoredPhone): Promise<boolean>;
  onOver(): Promise<void>;
  /** Deletes what this browser keeps of the pairing. */
  forget(): Promise<void>;
  after(ms: number, work: () => void): Cancel;
  /** Calls `work` when the page is shown again, or the network is back. */
  onWake(work: () => void, end: AbortSignal): void;
}

interface Pending {
  readonly content: object;
  readonly isRepeatable: boolean;
  readonly finish: (answer: Answer<never>) => void;
  /** The session that it was sent in. */
  sentIn: PhoneChannel | null;
}

/** The machine that this phone is paired with, over a relay that can read nothing. */
export class PhoneBackend implements Backend {
  readonly kind = "phone";
  readonly phone: StoredPhone;
  readonly #deps: PhoneDeps;
  readonly #pending = new Map<number, Pending>();
  #socket: PhoneSocket | null = null;
  #channel: PhoneChannel | null = null;
  /** Random value by which this page has asked for the present session. */
  #asked: string | null = null;
  #isAnswered = false;
  /** Counts what was received sealed. */
  #heard = 0;
  /** Whether the last that was heard is that the machine, or the coordinator, is away. */
  #isAway = false;
  #lastId = 0;
  #cancelOpening: Cancel = () => undefined;
  #cancelPing: Cancel = () => undefined;
  #endWait: Cancel = () => undefined;
  #drop: () => void = () => undefined;
  #onChange: OnChange = () => undefined;
  #onState: OnState = () => undefined;

  constructor(phone: StoredPhone, deps: PhoneDeps) {
    this.phone = phone;
    this.#deps = deps;
  }

  get canAnswer(): boolean {
    return this.phone.scope === "answer";
  }

  readonly call: Backend["call"] = (name, input, requestId) =>
    this.#request({ name, input, ...(requestId === undefined ? {} : { requestId }) }, requestId !== undefined);

  /** @param subscription null: no more notifications */
  setPush(subscription: PushSubscription | null, kinds: readonly PushKind[]): Promise<Answer<unknown>> {
    return this.#request({ push: subscription, kinds }, true);
  }

  signOut(): Promise<void> {
    return this.#deps.forget();
  }

  async follow(onChange: OnChange, onState: OnState, end: AbortSignal): Promise<void> {
    [this.#onChange, this.#onState] = [onChange, onState];
    end.addEventListener("abort", () => {
      this.#endWait();
      this.#drop();
    });
    this.#deps.onWake(() => this.#wake(), end);
    for (let ms = retryMs.base; !end.aborted; ms = Math.min(2 * ms, retryMs.most)) {
      const { isOpened, code } = await this.#attend();
      if (end.aborted) return;
      if (isOpened) ms = retryMs.base;
      if (code === closeCodes.token || (!isOpened && (await this.#deps.isOver(this.phone)))) return this.#deps.onOver();
      await this.#wait(ms);
    }
  }

  /** Ends early when the page wakes. */
  #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.after(ms, resolve);
    this.#endWait = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  /** One connection, until it closes. */
  #attend(): Promise<{ readonly isOpened: boolean; readonly code: number }> {
    const { promise, resolve } = Promise.withResolvers<{ isOpened: boolean; code: number }>();
    const socket = this.#deps.connect(this.phone);
    let isOpened = false;
    let isOver = false;
    socket.addEventListener("open", () => {
      if (isOver) return;
      isOpened = true;
      this.#socket = socket;
      this.#pingIn(pingMs);
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.#socket !== socket) return;
      this.#pingIn(pingMs);
      void this.#receive(data);
    });
    const closed = ({ code }: { readonly code: number }): void => {
      // The event of a connection that was dropped comes when the next one is open.
      if (isOver) return;
      isOver = true;
      if (this.#socket === socket) this.#socket = null;
      this.#cancelPing();
      this.#lose();
      resolve({ isOpened, code });
    };
    socket.addEventListener("close", closed);
    // A connection that has broken closes late, or never.
    this.#drop = () => {
      closed({ code: 1006 });
      socket.close();
    };
    return promise;
  }

  /** Pings, and drops a connection that answers none. */
  #pingIn(ms: number): void {
    this.#cancelPing();
    this.#cancelPing = this.#deps.after(ms, () => {
      this.#sendText(pingText);
      this.#cancelPing = this.#deps.after(silentMs, this.#drop);
    });
  }

  #wake(): void {
    this.#endWait();
    if (this.#socket) this.#pingIn(0);
  }

  async #receive(data: unknown): Promise<void> {
    const frame = readFrame(data);
    if (frame === null) return;
    // A machine that has come back knows no session of before.
    if ("isThere" in frame) return frame.isThere ? this.#ask() : this.#lose();
    if ("answer" in frame) return this.#begin(frame);
    const content = readContent(await this.#channel?.open(frame.sealed));
    if (content === null) return;
    this.#heard += 1;
    if ("changed" in content) this.#onChange(content.changed);
    else this.#pending.get(content.id)?.finish(content.answer);
  }

  /** Asks for a session, and again while the machine does not answer. */
  #ask(): void {
    this.#channel = null;
    this.#isAway = false;
    this.#isAnswered = false;
    this.#asked = randomText(16);
    this.#sendText(textOf({ open: this.#asked }));
    this.#cancelOpening();
    this.#cancelOpening = this.#deps.after(openAgainMs, () => this.#ask());
  }

  /** Once for each opening: a repeated or invented answer changes nothing. */
  async #begin({ open, answer }: { readonly open: string; readonly answer: string }): Promise<void> {
    if (open !== this.#asked || this.#isAnswered) return;
    this.#isAnswered = true;
    this.#cancelOpening();
    const channel = await PhoneChannel.open("phone", this.phone.key, open, answer);
    // Another one was asked for meanwhile, or the machine has left.
    if (open !== this.#asked) return;
    this.#channel = channel;
    for (const [id, one] of this.#pending) if (one.sentIn === null || one.isRepeatable) void this.#send(id, one);
    this.#onState(true);
    this.#onChange("all");
  }

  #lose(): void {
    this.#cancelOpening();
    this.#channel = null;
    this.#asked = null;
    this.#isAway = true;
    this.#onState(false);
  }

  async #send(id: number, pending: Pending): Promise<void> {
    const channel = this.#channel;
    if (channel === null) return;
    pending.sentIn = channel;
    const frame = await channel.seal({ id, ...pending.content });
    if (this.#channel === channel && this.#sendText(textOf(frame))) return;
    // The next session sends it.
    if (pending.sentIn === channel) pending.sentIn = null;
  }

  /** @returns false: the connection has closed or does so, and takes no more */
  #sendText(text: string): boolean {
    const socket = this.#socket;
    if (socket === null || socket.readyState !== socket.OPEN) return false;
    socket.send(text);
    return true;
  }

  async #request(content: object, isRepeatable: boolean): Promise<Answer<never>> {
    const id = (this.#lastId += 1);
    const { promise, resolve } = Promise.withResolvers<Answer<never>>();
    const pending: Pending = { content, isRepeatable, finish: resolve, sentIn: null };
    this.#pending.set(id, pending);
    const heard = this.#heard;
    const giveUp = (): void => {
      resolve(this.#unreachable());
      // Perhaps the machine no longer knows this session, or the relay has invented it.
      if (this.#channel !== null && pending.sentIn === this.#channel && heard === this.#heard) this.#ask();
    };
    const cancelAll = [
      this.#deps.after(waitMs.most, giveUp),
      this.#deps.after(waitMs.away, () => this.#isAway && giveUp()),
    ];
    void this.#send(id, pending);
    const answer = await promise;
    this.#pending.delete(id);
    for (const cancel of cancelAll) cancel();
    return answer;
  }

  #unreachable(): Answer<never> {
    return refused(
      "unreachable",
      this.#socket === null
        ? "The coordinator is not reachable. Is this phone offline?"
        : `${this.phone.machine} is not reachable: it is off, or no chat runs there`,
    );
  }
}

/** The real ones. @param ends what the page does at each end of a pairing */
export function browserDeps(ends: Pick<PhoneDeps, "onOver" | "forget">): PhoneDeps {
  return {
    ...ends,
    connect: ({ id, access }) =>
      new WebSocket(`${location.origin.replace("http", "ws")}/v1/phones/${id}/connect`, [protocol, access]),
    async isOver({ id, access }) {
      const headers = { authorization: `Bearer ${access}` };
      return (await fetch(`/v1/phones/${id}`, { headers }).catch(() => null))?.status === 404;
    },
    after(ms, work) {
      const timer = setTimeout(work, ms);
      return () => clearTimeout(timer);
    },
    onWake(work, signal) {
      document.addEventListener("visibilitychange", () => document.hidden || work(), { signal });
      addEventListener("online", work, { signal });
    },
  };
}

/** Reads what a relay passes on without the schema library, which is larger than the page. */

const protocol: typeof phoneProtocol = "shim.phone";

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export type Received =
  | { readonly isThere: boolean }
  | { readonly open: string; readonly answer: string }
  | { readonly sealed: SealedFrame }
  | null;

/** @returns null for what is no frame to a phone */
function readFrame(data: unknown): Received {
  const { isThere, open, answer, session, n, sealed } = fieldsOf(parsed(data));
  if (typeof isThere === "boolean") return { isThere };
  if (typeof open === "string" && typeof answer === "string") return { open, answer };
  if (typeof session !== "string" || typeof n !== "number" || typeof sealed !== "string") return null;
  return { sealed: { session, n, sealed } };
}

function parsed(data: unknown): unknown {
  try {
    return typeof data === "string" && data.startsWith("{") ? (JSON.parse(data) as unknown) : null;
  } catch {
    return null;
  }
}

export type Content =
  | { readonly id: number; readonly answer: Answer<never> }
  | { readonly changed: LiveLine["changed"] }
  | null;

/** Reads what a sealed frame of the machine has in it. */
function readContent(opened: unknown): Content {
  const { id, value, error, changed } = fieldsOf(opened);
  if (typeof changed === "string") return { changed: changed as LiveLine["changed"] };
  if (typeof id !== "number") return null;
  return {
    id,
    answer: error === undefined ? { ok: true, value: value as never } : { ok: false, error: error as Refused },
  };
}

function textOf(frame: PhoneFrame | RelayFrame): string {
  return JSON.stringify(frame);
}
