import { open, seal, sealingKey, type Secret } from "./sealing.ts";

/** A frame of one end is none of the other. */
type End = "phone" | "machine";

export interface SealedFrame {
  readonly session: string;
  readonly n: number;
  readonly sealed: string;
}

/**
 * One session of a phone with its machine, over a relay that may repeat, drop, reorder and change
 * frames. Its key comes from random values of both ends, so frames of another session do not open
 * in it; within it the numbers of frames only grow.
 */
export class PhoneChannel {
  /** Random value of the phone, by which frames name the session. */
  readonly session: string;
  readonly #end: End;
  readonly #key: CryptoKey;
  #sent = 0;
  #received = 0;
  /** Ends of the last of each: frames are sealed and opened in their order. */
  #sealing: Promise<unknown> = Promise.resolve();
  #opening: Promise<unknown> = Promise.resolve();

  private constructor(end: End, session: string, key: CryptoKey) {
    this.#end = end;
    this.session = session;
    this.#key = key;
  }

  /**
   * @param key of the phone
   * @param session random value of the phone
   * @param answer random value of the machine
   */
  static async open(end: End, key: Secret, session: string, answer: string): Promise<PhoneChannel> {
    return new PhoneChannel(end, session, await sealingKey(key, `${session} ${answer}`, "phone session"));
  }

  seal(value: unknown): Promise<SealedFrame> {
    const n = (this.#sent += 1);
    const sealing = this.#sealing.then(async () => {
      return { session: this.session, n, sealed: await seal(this.#key, `${this.#end} ${n}`, value) };
    });
    this.#sealing = sealing;
    return sealing;
  }

  /** @returns undefined for what is not from the other end, or came before */
  open(frame: SealedFrame): Promise<unknown> {
    const opening = this.#opening.then(() => this.#open(frame));
    this.#opening = opening;
    return opening;
  }

  async #open({ session, n, sealed }: SealedFrame): Promise<unknown> {
    if (session !== this.session || n <= this.#received) return undefined;
    const other: End = this.#end === "phone" ? "machine" : "phone";
    const value = await open(this.#key, `${other} ${n}`, sealed);
    if (value !== undefined) this.#received = n;
    return value;
  }
}
