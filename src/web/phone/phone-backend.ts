import type { PhoneFrame, PhonePush, phoneProtocol, PushState, RelayFrame } from "../../contract/phone-frames.ts";
import type { LiveLine } from "../../contract/live-page.ts";
import { closeCodes, pingText } from "../../contract/sockets.ts";
import { PhoneChannel, type SealedFrame } from "../../pairing/channel.ts";
import { Connection, silentMs, type Line, type LineEvents } from "../../pairing/connection.ts";
import { randomText } from "../../pairing/sealing.ts";
import {
  refused,
  type Answer,
  type Backend,
  type LinkState,
  type OnChange,
  type OnState,
  type Refused,
} from "../backend.ts";
import type { PageClock } from "../keep-live.ts";
import type { StoredPhone } from "./stored-phone.ts";

/** Longest wait of a call; the shorter one while its machine is known to be away. */
const waitMs = { most: 10_000, away: 2_000 };
/** A machine that does not answer an opening is asked again. */
const openAgainMs = 3_000;

export type PhoneSocket = Pick<WebSocket, "send" | "close" | "addEventListener" | "readyState" | "OPEN">;

/** The parts of the browser that the backend uses. */
export interface PhoneDeps extends PageClock {
  /** Host that the page came from. */
  readonly host: string;
  connect(phone: StoredPhone): PhoneSocket;
  /** A refused socket does not say why: whether the coordinator no longer knows the pairing. */
  isOver(phone: StoredPhone): Promise<boolean>;
  onOver(phone: StoredPhone): Promise<void>;
  /** The machine has begun, or ended, to be there. @param at when it was last heard, epoch ms */
  onReached(machine: PhoneBackend, isThere: boolean, at: number): void;
  /** Deletes what this browser keeps of the pairing. */
  forget(phone: StoredPhone): Promise<void>;
}

interface PhoneLine extends Line {
  /** @returns false: it has closed or does so, and takes no more */
  send(text: string): boolean;
}

interface Pending {
  readonly content: object;
  readonly finish: (answer: Answer<never>) => void;
}

/** How far a phone comes on its way to its machine; at first it has only begun. */
type Reach = "begun" | "nowhere" | "coordinator" | "machine";

/** One machine that this phone is paired with, over a relay that can read nothing. */
export class PhoneBackend implements Backend {
  readonly kind = "phone";
  readonly phone: StoredPhone;
  readonly #deps: PhoneDeps;
  readonly #connection: Connection<PhoneLine>;
  readonly #pending = new Map<number, Pending>();
  #channel: PhoneChannel | null = null;
  /** Random value by which this page has asked for the present session. */
  #asked: string | null = null;
  #isAnswered = false;
  /** Counts what was received sealed. */
  #heard = 0;
  #heardAt: number;
  #reach: Reach = "begun";
  #lastId = 0;
  #cancelOpening: () => void = () => undefined;
  /** Ends the present question whether the machine is there; null: there is none. */
  #cancelProbe: (() => void) | null = null;
  #onChange: OnChange = () => undefined;
  #onState: OnState = () => undefined;

  constructor(phone: StoredPhone, deps: PhoneDeps) {
    this.phone = phone;
    this.#heardAt = phone.heardAt;
    this.#deps = deps;
    this.#connection = new Connection<PhoneLine>({
      open: (events) => this.#open(events),
      setTimer: deps.setTimer,
      isHidden: deps.isHidden,
      onDown: () => this.#lose("nowhere"),
      onClosed: (code, wasUp) => void this.#onClosed(code, wasUp),
    });
  }

  get canAnswer(): boolean {
    return this.phone.scope === "answer";
  }

  get state(): LinkState {
    if (this.#reach === "machine") return { isLive: true };
    const { machine } = this.phone;
    const why = {
      begun: `connecting with ${machine}`,
      nowhere: this.#deps.isOffline() ? "this device has no network" : `${this.#deps.host} does not answer`,
      coordinator: `${machine} is off or asleep, or no chat runs there`,
    }[this.#reach];
    return { isLive: false, since: this.#heardAt, why };
  }

  /** An action that cannot reach its machine now is refused: nothing of it is sent later. */
  readonly call: Backend["call"] = async (name, input, requestId) => {
    if (requestId !== undefined && this.#isAway()) return this.#unreachable();
    return this.#request({ name, input, ...(requestId === undefined ? {} : { requestId }) });
  };

  /** @param push null: no more notifications. @param isTest send one now */
  setPush(push: PhonePush | null, isTest: boolean): Promise<Answer<PushState>> {
    return this.#request({ push, isTest });
  }

  signOut(): Promise<void> {
    return this.#deps.forget(this.phone);
  }

  follow(onChange: OnChange, onState: OnState, end: AbortSignal): void {
    [this.#onChange, this.#onState] = [onChange, onState];
    this.#deps.onWake(() => this.#connection.wake(), end);
    const cancel = this.#deps.setTimer(() => this.#reach === "begun" && this.#lose("nowhere"), silentMs);
    end.addEventListener("abort", () => {
      cancel();
      this.#connection.end();
    });
    this.#connection.begin();
  }

  #open(events: LineEvents): PhoneLine {
    const socket = this.#deps.connect(this.phone);
    const line: PhoneLine = {
      send(text) {
        if (socket.readyState !== socket.OPEN) return false;
        socket.send(text);
        return true;
      },
      ping: () => {
        line.send(pingText);
        this.#probe();
      },
      close: () => socket.close(),
    };
    socket.addEventListener("open", events.onUp);
    socket.addEventListener("message", ({ data }) => {
      if (this.#connection.up !== line) return;
      events.onHeard();
      void this.#receive(data);
    });
    socket.addEventListener("close", ({ code }) => events.onDown(code));
    return line;
  }

  async #onClosed(code: number, wasUp: boolean): Promise<void> {
    if (!wasUp && this.#reach === "begun") this.#lose("nowhere");
    const isOver = code === closeCodes.token || (!wasUp && (await this.#deps.isOver(this.phone)));
    if (!isOver) return;
    this.#connection.end();
    await this.#deps.onOver(this.phone);
  }

  async #receive(data: unknown): Promise<void> {
    const frame = readFrame(data);
    if (frame === null) return;
    // A machine that has come back knows no session of before.
    if ("isThere" in frame) return frame.isThere ? this.#ask() : this.#lose("coordinator");
    if ("answer" in frame) return this.#begin(frame);
    const content = readContent(await this.#channel?.open(frame.sealed));
    if (content === null) return;
    this.#heard += 1;
    this.#heardAt = this.#deps.now();
    this.#setReach("machine");
    if ("changed" in content) this.#onChange(content.changed);
    else this.#pending.get(content.id)?.finish(content.answer);
  }

  /** Asks for a session, and again while the machine does not answer. */
  #ask(): void {
    this.#endSession();
    this.#isAnswered = false;
    this.#asked = randomText(16);
    this.#sendText(textOf({ open: this.#asked }));
    this.#cancelOpening();
    this.#cancelOpening = this.#deps.setTimer(() => {
      this.#setReach("coordinator");
      this.#ask();
    }, openAgainMs);
  }

  /** Once for each opening: a repeated or invented answer changes nothing. */
  async #begin({ open, answer, at }: Extract<Received, { readonly answer: string }>): Promise<void> {
    if (open !== this.#asked || this.#isAnswered) return;
    this.#isAnswered = true;
    this.#cancelOpening();
    const channel = await PhoneChannel.open("phone", this.phone.key, open, answer, { at, now: () => this.#deps.now() });
    // Another one was asked for meanwhile, or the machine has left.
    if (open !== this.#asked) return;
    this.#channel = channel;
    // Whatever an earlier session has not answered: an action is done once, by its request id.
    for (const [id, one] of this.#pending) void this.#send(id, one.content);
    // The relay could invent an answer: the machine is there once it has sealed something.
    this.#probe();
  }

  /** Asks the machine itself for a sign: the relay does not know that it sleeps. */
  #probe(): void {
    if (this.#channel === null || this.#cancelProbe !== null) return;
    void this.#send((this.#lastId += 1), { ping: true });
    const heard = this.#heard;
    this.#cancelProbe = this.#deps.setTimer(() => {
      this.#cancelProbe = null;
      if (this.#heard !== heard) return;
      this.#lose("coordinator");
      this.#ask();
    }, silentMs);
  }

  #endSession(): void {
    this.#channel = null;
    this.#cancelProbe?.();
    this.#cancelProbe = null;
  }

  #lose(reach: Reach): void {
    this.#cancelOpening();
    this.#endSession();
    this.#asked = null;
    this.#setReach(reach);
  }

  #setReach(reach: Reach): void {
    if (reach === this.#reach) return;
    const wasThere = this.#reach === "machine";
    this.#reach = reach;
    if (wasThere || reach === "machine") this.#deps.onReached(this, reach === "machine", this.#heardAt);
    this.#onState(this.state);
  }

  async #send(id: number, content: object): Promise<void> {
    const channel = this.#channel;
    const frame = await channel?.seal({ id, ...content });
    if (frame !== undefined && this.#channel === channel) this.#sendText(textOf(frame));
  }

  #sendText(text: string): void {
    this.#connection.up?.send(text);
  }

  async #request(content: object): Promise<Answer<never>> {
    const id = (this.#lastId += 1);
    const { promise, resolve } = Promise.withResolvers<Answer<never>>();
    this.#pending.set(id, { content, finish: resolve });
    const giveUp = (): void => {
      resolve(this.#unreachable());
      // Perhaps the machine no longer knows this session, or the relay has invented it.
      this.#probe();
    };
    const cancelAll = [
      this.#deps.setTimer(giveUp, waitMs.most),
      this.#deps.setTimer(() => this.#isAway() && giveUp(), waitMs.away),
    ];
    void this.#send(id, content);
    const answer = await promise;
    this.#pending.delete(id);
    for (const cancel of cancelAll) cancel();
    return answer;
  }

  #isAway(): boolean {
    return this.#reach === "nowhere" || this.#reach === "coordinator";
  }

  #unreachable(): Answer<never> {
    const { state } = this;
    return refused("unreachable", state.isLive ? `${this.phone.machine} did not answer in time` : state.why);
  }
}

/** The real ones. */
export const browserPhone: Pick<PhoneDeps, "host" | "connect" | "isOver"> = {
  get host() {
    return location.host;
  },
  connect: ({ id, access }) =>
    new WebSocket(`${location.origin.replace("http", "ws")}/v1/phones/${id}/connect`, [protocol, access]),
  async isOver({ id, access }) {
    const headers = { authorization: `Bearer ${access}` };
    return (await fetch(`/v1/phones/${id}`, { headers }).catch(() => null))?.status === 404;
  },
};

/** Reads what a relay passes on without the schema library, which is larger than the page. */

const protocol: typeof phoneProtocol = "shim.phone";

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

export type Received =
  | { readonly isThere: boolean }
  | { readonly open: string; readonly answer: string; readonly at: number }
  | { readonly sealed: SealedFrame }
  | null;

/** @returns null for what is no frame to a phone */
function readFrame(data: unknown): Received {
  const { isThere, open, answer, at, session, n, sealed } = fieldsOf(parsed(data));
  if (typeof isThere === "boolean") return { isThere };
  if (typeof open === "string" && typeof answer === "string" && typeof at === "number") return { open, answer, at };
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
