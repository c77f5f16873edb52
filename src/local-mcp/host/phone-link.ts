import type { LiveLine, PageCall } from "../../contract/live-page.ts";
import {
  maxPhoneFrameChars,
  PhoneFrame,
  PhoneRequest,
  RelayFrame,
  type MachineFrame,
  type PhonePush,
  type PushState,
} from "../../contract/phone-frames.ts";
import { closeCodes, pingText } from "../../contract/sockets.ts";
import type { Socket, SocketEvents } from "../../coordinator-client/edge/platform.ts";
import type { PairedPhone } from "../../machine/sharing/phones/phone-file.ts";
import { ChangeReports } from "../page/change-reports.ts";
import { Connection, type Line, type LineEvents } from "../../pairing/connection.ts";
import { PhoneChannel, type SealedFrame } from "../../pairing/channel.ts";
import { fromBase64url, randomText } from "../../pairing/sealing.ts";
import type { Log } from "../../platform/log-file.ts";
import { messageOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { type Result, fail } from "../../shared/result.ts";
import { FrameBound, type FrameLimits } from "../../shared/frame-bound.ts";
import { setNewest } from "../../shared/set-newest.ts";

export interface PhoneLinkOptions {
  readonly phone: PairedPhone;
  readonly connect: (events: SocketEvents) => Socket;
  /** Why a connection was refused: its pairing is gone, or another reason; null: none was. */
  readonly refusal: () => Promise<"gone" | "refused" | null>;
  readonly setTimer: (work: () => void, ms: number) => () => void;
  /** Epoch ms. */
  readonly now: () => number;
  readonly call: (call: PageCall) => Promise<Result<unknown>>;
  /** @param isTest send one now */
  readonly onPush: (push: PhonePush | null, isTest: boolean) => Promise<PushState>;
  /** A page of the phone has begun a session. */
  readonly onSeen: () => void;
  readonly log: Log;
}

/** Rests before a coordinator that has refused is asked again, in ms. */
const restMs = { gone: 600_000, refused: 60_000 } as const;
/** Least time between two reports of changes, in ms. */
const gapMs = 250;
/** Pages of a phone; an older one begins again. */
const maxSessions = 8;
/** Calls of a phone that are being answered. */
const maxCalls = 16;

/** From the relay, which may invent frames without limit: eight pages send far less. */
const frameLimits: FrameLimits = { framesPerSecond: 60, charsPerFrame: 25_000 };
/** An opening is worth so many frames: each makes a key. */
const framesOfOpening = 10;
/** Time for which a relay that floods is left alone, in ms. */
const floodMs = 60_000;

interface RelayLine extends Line {
  send(text: string): void;
}

/** The machine's end of the connection with a phone: answers sealed calls, reports changes. */
export class PhoneLink {
  readonly #options: PhoneLinkOptions;
  readonly #sessions = new Map<string, PhoneChannel>();
  readonly #bound = new FrameBound(frameLimits);
  readonly #connection: Connection<RelayLine>;
  readonly #reports: ChangeReports;
  #pages = 0;
  #calls = 0;
  #isOver = false;
  #isFlooded = false;

  constructor(options: PhoneLinkOptions) {
    this.#options = options;
    this.#reports = new ChangeReports({ report: (part) => this.#report(part), setTimer: options.setTimer, gapMs });
    this.#connection = new Connection<RelayLine>({
      open: (events) => this.#open(events),
      setTimer: options.setTimer,
      onDown: () => this.#lose(),
      onClosed: (code, wasUp) => void this.#onClosed(code, wasUp),
    });
    this.#connection.begin();
  }

  get phone(): PairedPhone {
    return this.#options.phone;
  }

  /** Reported to pages that are open. */
  changed(part: LiveLine["changed"]): void {
    if (this.#pages > 0 && this.#sessions.size > 0) this.#reports.changed(part);
  }

  /** Frames of the phone open no more. */
  close(): void {
    this.#isOver = true;
    this.#reports.end();
    this.#connection.end();
    this.#lose();
  }

  #report(part: LiveLine["changed"]): void {
    for (const session of this.#sessions.values()) void this.#send(session, { changed: part });
  }

  #open(events: LineEvents): RelayLine {
    const socket: Socket = this.#options.connect({
      onOpen: events.onUp,
      onText: (text) => {
        if (this.#connection.up !== line) return;
        events.onHeard();
        void this.#receive(text).catch((error: unknown) =>
          this.#options.log("warn", "a frame of a phone was not answered", { error: messageOf(error) }),
        );
      },
      onClose: events.onDown,
    });
    const line = {
      send: (text: string) => socket.send(text),
      ping: () => socket.send(pingText),
      close: () => socket.close(this.#isFlooded ? closeCodes.flood : 1000),
    };
    return line;
  }

  #lose(): void {
    this.#sessions.clear();
    this.#pages = 0;
  }

  async #onClosed(code: number, wasUp: boolean): Promise<void> {
    const refusal = code === closeCodes.token ? "gone" : wasUp ? null : await this.#options.refusal();
    if (refusal !== null) this.#connection.rest(restMs[refusal]);
  }

  async #receive(text: string): Promise<void> {
    if (!this.#mayTake(text.length)) return;
    const read = parseJson(text);
    const relay = RelayFrame.safeParse(read);
    if (relay.success) {
      if ("pages" in relay.data) this.#pages = relay.data.pages;
      return;
    }
    const frame = PhoneFrame.safeParse(read).data;
    if (frame === undefined) return;
    if ("sealed" in frame) return this.#answer(frame);
    if (!("answer" in frame) && this.#mayTake(0, framesOfOpening)) await this.#begin(frame.open);
  }

  /** Beyond the limits the connection ends, and is made again later. */
  #mayTake(chars: number, frames?: number): boolean {
    const isWithin = chars <= maxPhoneFrameChars + 200 && this.#bound.take(chars, this.#options.now(), frames);
    this.#isFlooded = !isWithin;
    if (!isWithin) this.#connection.rest(floodMs);
    return isWithin;
  }

  async #begin(session: string): Promise<void> {
    // A repeat of an opening by the coordinator ends the session, and the phone begins another.
    const answer = randomText(16);
    const { now } = this.#options;
    const at = now();
    const channel = await PhoneChannel.open("machine", fromBase64url(this.phone.key), session, answer, { at, now });
    if (this.#isOver) return;
    setNewest(this.#sessions, session, channel, maxSessions);
    this.#connection.up?.send(JSON.stringify({ open: session, answer, at }));
  }

  async #answer(frame: SealedFrame): Promise<void> {
    const session = this.#sessions.get(frame.session);
    const request = PhoneRequest.safeParse(await session?.open(frame)).data;
    if (session === undefined || request === undefined || this.#isOver) return;
    const { id, ...rest } = request;
    this.#options.onSeen();
    if ("ping" in rest) return this.#send(session, { id, value: {} });
    if ("push" in rest) {
      const value = await this.#options.onPush(rest.push, rest.isTest);
      return this.#send(session, { id, value });
    }
    const answer = await this.#call(rest);
    await this.#send(session, answer.ok ? { id, value: answer.value } : { id, error: answer.error });
  }

  async #call(call: PageCall): Promise<Result<unknown>> {
    if (this.#calls >= maxCalls) return fail("throttled", "too many calls at once: try again in a moment");
    this.#calls += 1;
    try {
      return await this.#reports.ofRead(() => this.#options.call(call));
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
    if (text.length <= maxPhoneFrameChars || !("id" in content)) return this.#connection.up?.send(text);
    const error = { code: "too_large", message: "the answer is too large for a phone" };
    this.#connection.up?.send(JSON.stringify(await session.seal({ id: content.id, error })));
  }
}
