import { open, seal, sealingKey, type Secret } from "./sealing.ts";

/** A frame of one end is none of the other. */
type End = "phone" | "machine";

/** A frame whose time is so far from the receiver's opens no more, in ms. */
const lapseMs = 8_000;

/** Times of a session follow its machine's clock: the phone knows the time of the answer. */
export interface SessionClock {
  /** Time of the machine's answer, by its own clock. */
  readonly at: number;
  /** Epoch ms by the clock of this end. */
  readonly now: () => number;
}

export interface SealedFrame {
  readonly session: string;
  readonly n: number;
  readonly sealed: string;
}

/**
 * One session of a phone with its machine, over a relay that may repeat, drop, reorder and change
 * frames. Its key comes from random values of both ends, so frames of another session do not open
 * in it; within it the numbers of frames only grow, and a frame that is held back lapses.
 */
export class PhoneChannel {
  /** Random value of the phone, by which frames name the session. */
  readonly session: string;
  readonly #end: End;
  readonly #key: CryptoKey;
  /** Epoch ms by the clock of the machine. */
  readonly #clock: () => number;
  #sent = 0;
  #received = 0;
  /** Ends of the last of each: frames are sealed and opened in their order. */
  #sealing: Promise<unknown> = Promise.resolve();
  #opening: Promise<unknown> = Promise.resolve();

  private constructor(end: End, session: string, key: CryptoKey, clock: () => number) {
    this.#end = end;
    this.session = session;
    this.#key = key;
    this.#clock = clock;
  }

  /**
   * @param key of the phone
   * @param session random value of the phone
   * @param answer random value of the machine
   */
  static async open(
    end: End,
    key: Secret,
    session: string,
    answer: string,
    { at, now }: SessionClock,
  ): Promise<PhoneChannel> {
    const ahead = at - now();
    const sealing = await sealingKey(key, `${session} ${answer} ${at}`, "phone session");
    return new PhoneChannel(end, session, sealing, () => now() + ahead);
  }

  seal(value: unknown): Promise<SealedFrame> {
    const n = (this.#sent += 1);
    const sealing = this.#sealing.then(async () => {
      const content = { at: this.#clock(), value };
      return { session: this.session, n, sealed: await seal(this.#key, `${this.#end} ${n}`, content) };
    });
    this.#sealing = sealing;
    return sealing;
  }

  /** @returns undefined for what is not from the other end, came before, or has lapsed */
  open(frame: SealedFrame): Promise<unknown> {
    const opening = this.#opening.then(() => this.#open(frame));
    this.#opening = opening;
    return opening;
  }

  async #open({ session, n, sealed }: SealedFrame): Promise<unknown> {
    if (session !== this.session || n <= this.#received) return undefined;
    const other: End = this.#end === "phone" ? "machine" : "phone";
    const content = await open(this.#key, `${other} ${n}`, sealed);
    if (content === undefined) return undefined;
    this.#received = n;
    const { at, value } = content as { readonly at: number; readonly value: unknown };
    return Math.abs(this.#clock() - at) <= lapseMs ? value : undefined;
  }
}
