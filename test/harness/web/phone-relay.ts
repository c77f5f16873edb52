import type { PhoneFrame, RelayFrame } from "#src/contract/phone-frames.ts";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import { fromBase64url, importSecret, randomText } from "#src/pairing/sealing.ts";
import { PhoneBackend, type PhoneDeps, type PhoneSocket } from "#src/web/phone/phone-backend.ts";

type Frame = PhoneFrame | RelayFrame;

/** The phone's end of a connection; the test is the coordinator. */
class FakeSocket implements PhoneSocket {
  readonly sent: string[] = [];
  readonly #listeners = new Map<string, ((event: never) => void)[]>();
  readonly #onSend: (text: string) => void;

  constructor(onSend: (text: string) => void) {
    this.#onSend = onSend;
  }

  addEventListener(type: string, listener: unknown): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener as (event: never) => void]);
  }

  emit(type: "open" | "message" | "close", event: object = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }

  send(text: string): void {
    this.sent.push(text);
    this.#onSend(text);
  }

  close(): void {
    this.emit("close", { code: 1000 });
  }
}

/** A phone, and a relay and a machine that the test moves by hand. Nothing waits for real time. */
export class PhoneRig {
  readonly backend: PhoneBackend;
  readonly sockets: FakeSocket[] = [];
  readonly changes: string[] = [];
  readonly states: boolean[] = [];
  readonly requests: { readonly id: number; readonly name?: string; readonly requestId?: string }[] = [];
  readonly key: string;
  /** Frames of the phone that did not reach the machine. */
  readonly dropped: SealedFrame[] = [];
  overs = 0;
  isOver = false;
  /** The relay passes sealed frames of the phone on. */
  isPassing = true;
  /** The machine opens a session when it is asked. */
  isAnswering = true;
  machine: PhoneChannel | null = null;
  wake: () => void = () => undefined;
  #timers: { readonly at: number; readonly work: () => void }[] = [];
  #now = 0;

  private constructor(key: string, stored: Awaited<ReturnType<typeof importSecret>>) {
    this.key = key;
    const deps: PhoneDeps = {
      connect: () => this.#connect(),
      isOver: async () => this.isOver,
      onOver: async () => void this.overs++,
      forget: async () => undefined,
      after: (ms, work) => {
        const timer = { at: this.#now + ms, work };
        this.#timers.push(timer);
        return () => (this.#timers = this.#timers.filter((one) => one !== timer));
      },
      onWake: (work) => (this.wake = work),
    };
    const phone = { id: "p".repeat(44), machine: "ada-laptop", endsAt: 1, pushKey: null, access: randomText(32) };
    this.backend = new PhoneBackend({ ...phone, scope: "view", key: stored }, deps);
  }

  static async make(): Promise<PhoneRig> {
    const key = randomText(32);
    return new PhoneRig(key, await importSecret(fromBase64url(key)));
  }

  /** A phone with an open session. */
  static async inSession(): Promise<PhoneRig> {
    const rig = await PhoneRig.make();
    void rig.follow();
    rig.last.emit("open");
    await rig.relay({ isThere: true });
    return rig;
  }

  follow(end = new AbortController()): Promise<void> {
    return this.backend.follow(
      (part) => this.changes.push(part),
      (isLive) => this.states.push(isLive),
      end.signal,
    );
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nothing is connected");
    return socket;
  }

  /** The coordinator sends it to the phone. */
  async relay(frame: Frame): Promise<void> {
    this.last.emit("message", { data: JSON.stringify(frame) });
    await settled();
  }

  async answer(content: object): Promise<SealedFrame> {
    if (!this.machine) throw new Error("there is no session");
    const frame = await this.machine.seal(content);
    await this.relay(frame);
    return frame;
  }

  async pass(ms: number): Promise<void> {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { work } of due) work();
    await settled();
  }

  #connect(): FakeSocket {
    const socket = new FakeSocket((text) => void this.#hear(text));
    this.sockets.push(socket);
    return socket;
  }

  async #hear(text: string): Promise<void> {
    if (text === "ping") return;
    const frame = JSON.parse(text) as PhoneFrame;
    if ("sealed" in frame) return this.isPassing ? this.receive(frame) : void this.dropped.push(frame);
    if (!this.isAnswering) return;
    const answer = randomText(16);
    this.machine = await PhoneChannel.open("machine", fromBase64url(this.key), frame.open, answer);
    await this.relay({ open: frame.open, answer });
  }

  /** The machine gets a frame. */
  async receive(frame: SealedFrame): Promise<void> {
    const request = await this.machine?.open(frame);
    if (request !== undefined) this.requests.push(request as PhoneRig["requests"][number]);
  }
}

/** Until work of WebCrypto and streams that has begun is done: more of the same kind, after it, is done. */
export async function settled(): Promise<void> {
  const key = new Uint8Array(32);
  for (let round = 0; round < 4; round++) {
    const phone = await PhoneChannel.open("phone", key, "", "");
    const machine = await PhoneChannel.open("machine", key, "", "");
    await machine.open(await phone.seal("x"));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
