import type { LiveLine, PageCall } from "../../contract/live-page.ts";
import {
  maxPhoneFrameChars,
  PhoneFrame,
  PhoneRequest,
  RelayFrame,
  type MachineFrame,
} from "../../contract/phone-frames.ts";
import { closeCodes, pingText, pongText } from "../../contract/sockets.ts";
import type { Socket, SocketEvents } from "../../coordinator-client/edge/platform.ts";
import type { PairedPhone } from "../../machine/sharing/phones/phone-file.ts";
import { PhoneChannel, type SealedFrame } from "../../pairing/channel.ts";
import { fromBase64url, randomText } from "../../pairing/sealing.ts";
import type { Log } from "../../platform/log-file.ts";
import { messageOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { type Result, fail } from "../../shared/result.ts";
import { setNewest } from "../../shared/set-newest.ts";

export interface PhoneLinkOptions {
  readonly phone: PairedPhone;
  readonly connect: (events: SocketEvents) => Socket;
  /** Whether the coordinator no longer knows the pairing: a refused connection does not say why. */
  readonly isGone: () => Promise<boolean>;
  readonly setTimer: (work: () => void, ms: number) => () => void;
  readonly call: (call: PageCall) => Promise<Result<unknown>>;
  readonly onPush: (push: PairedPhone["push"]) => void;
  /** A page of the phone has begun a session. */
  readonly onSeen: () => void;
  readonly log: Log;
}

const pingMs = 45_000;
const retryMs = { least: 1_000, most: 60_000, over: 600_000 };
/** Least time between two reports of changes, in ms. */
const gapMs = 250;
/** Pages of a phone; an older one begins again. */
const maxSessions = 8;
/** Calls of a phone that are being answered. */
const maxCalls = 16;

/** The machine's end of the connection with a phone: answers sealed calls, reports changes. */
export class PhoneLink {
  readonly #options: PhoneLinkOptions;
  readonly #sessions = new Map<string, PhoneChannel>();
  #socket: Socket | null = null;
  #cancelTimer: () => void = () => undefined;
  #cancelGap: (() => void) | null = null;
  #due: LiveLine["changed"] | null = null;
  #hasReceived = true;
  #waitMs = retryMs.least;
  #pages = 0;
  #calls = 0;
  #isOver = false;

  constructor(options: PhoneLinkOptions) {
    this.#options = options;
    this.#connect();
  }

  get phone(): PairedPhone {
    return this.#options.phone;
  }

  /** Reported to pages that are open, soon and once for several changes. */
  changed(part: LiveLine["changed"]): void {
    if (this.#pages === 0 || this.#sessions.size === 0) return;
    this.#due = this.#due === null || this.#due === part ? part : "all";
    this.#cancelGap ??= this.#options.setTimer(() => this.#report(), gapMs);
  }

  /** Frames of the phone open no more. */
  close(): void {
    this.#isOver = true;
    this.#cancelTimer();
    this.#cancelGap?.();
    this.#sessions.clear();
    this.#socket?.close(1000);
  }

  #report(): void {
    this.#cancelGap = null;
    const part = this.#due;
    this.#due = null;
    if (part === null) return;
    for (const session of this.#sessions.values()) void this.#send(session, { changed: part });
  }

  #connect(): void {
    let isOpened = false;
    const socket = this.#options.connect({
      onOpen: () => {
        isOpened = true;
        this.#hasReceived = true;
        this.#keepAlive();
      },
      onText: (text) => {
        this.#hasReceived = true;
        // Opening proves little: two machines with one home close each other's connection.
        if (text === pongText) this.#waitMs = retryMs.least;
        void this.#receive(text).catch((error: unknown) =>
          this.#options.log("warn", "a frame of a phone was not answered", { error: messageOf(error) }),
        );
      },
      onClose: (code) => {
        if (this.#socket === socket) void this.#onClosed(code, isOpened);
      },
    });
    this.#socket = socket;
  }

  /** The coordinator answers pings; without an answer the connection has broken. */
  #keepAlive(): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.setTimer(() => {
      if (!this.#hasReceived) return this.#drop();
      this.#hasReceived = false;
      this.#socket?.send(pingText);
      this.#keepAlive();
    }, pingMs);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    void this.#onClosed(1006, true);
  }

  async #onClosed(code: number, wasOpen: boolean): Promise<void> {
    this.#cancelTimer();
    this.#socket = null;
    this.#sessions.clear();
    this.#pages = 0;
    if (this.#isOver) return;
    const isGone = code === closeCodes.token || (!wasOpen && (await this.#options.isGone()));
    if (this.#isOver) return;
    const ms = isGone ? retryMs.over : this.#waitMs;
    this.#waitMs = Math.min(2 * this.#waitMs, retryMs.most);
    this.#cancelTimer = this.#options.setTimer(() => this.#connect(), ms);
  }

  async #receive(text: string): Promise<void> {
    const read = parseJson(text);
    const relay = RelayFrame.safeParse(read);
    if (relay.success) {
      if ("pages" in relay.data) this.#pages = relay.data.pages;
      return;
    }
    const frame = PhoneFrame.safeParse(read).data;
    if (frame === undefined) return;
    if ("sealed" in frame) return this.#answer(frame);
    if (!("answer" in frame)) await this.#begin(frame.open);
  }

  async #begin(session: string): Promise<void> {
    // A repeat of an opening by the coordinator ends the session, and the phone begins another.
    const answer = randomText(16);
    const channel = await PhoneChannel.open("machine", fromBase64url(this.phone.key), session, answer);
    if (this.#isOver) return;
    setNewest(this.#sessions, session, channel, maxSessions);
    this.#socket?.send(JSON.stringify({ open: session, answer }));
  }

  async #answer(frame: SealedFrame): Promise<void> {
    const session = this.#sessions.get(frame.session);
    const request = PhoneRequest.safeParse(await session?.open(frame)).data;
    if (session === undefined || request === undefined || this.#isOver) return;
    const { id, ...rest } = request;
    this.#options.onSeen();
    if ("push" in rest) {
      const { push: subscription, kinds } = rest;
      this.#options.onPush(subscription === null ? null : { subscription, kinds });
      return this.#send(session, { id, value: {} });
    }
    const answer = await this.#call(rest);
    await this.#send(session, answer.ok ? { id, value: answer.value } : { id, error: answer.error });
  }

  async #call(call: PageCall): Promise<Result<unknown>> {
    if (this.#calls >= maxCalls) return fail("throttled", "too many calls at once: try again in a moment");
    this.#calls += 1;
    try {
      return await this.#options.call(call);
    } catch (error) {
      this.#options.log("error", "a call of a phone failed", { call: call.name, error: messageOf(error) });
      return fail("internal", "SHIM failed; its log says why");
    } finally {
      this.#calls -= 1;
    }
  }

  async #send(session: PhoneChannel, content: MachineFrame): Promise<void> {
    const frame = await session.seal(content);
    const text = JSON.stringify(frame);
    if (text.length <= maxPhoneFrameChars || !("id" in content)) return this.#socket?.send(text);
    const error = { code: "too_large", message: "the answer is too large for a phone" };
    this.#socket?.send(JSON.stringify(await session.seal({ id: content.id, error })));
  }
}
