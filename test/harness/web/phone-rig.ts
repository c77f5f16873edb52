import type { PhoneFrame, RelayFrame } from "#src/contract/phone-frames.ts";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import { fromBase64url, importSecret, randomText } from "#src/pairing/sealing.ts";
import type { LinkState } from "#src/web/backend.ts";
import { PhoneBackend, type PhoneDeps, type PhoneSocket } from "#src/web/phone/phone-backend.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";

/** The phone's end of a connection; the test is the coordinator. */
export class FakeSocket extends EventTarget implements PhoneSocket {
  readonly sent: string[] = [];
  readonly OPEN = 1;
  readyState = 1;
  readonly #onSend: (text: string) => void;

  constructor(onSend: (text: string) => void) {
    super();
    this.#onSend = onSend;
  }

  emit(type: "open" | "message" | "close", fields: object = {}): void {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  send(text: string): void {
    this.sent.push(text);
    this.#onSend(text);
  }

  isClosed = false;

  close(): void {
    this.isClosed = true;
    this.emit("close", { code: 1000 });
  }
}

/** A phone, and a relay and a machine that the test moves by hand. Nothing waits for real time. */
export class PhoneRig {
  readonly backend: PhoneBackend;
  readonly sockets: FakeSocket[] = [];
  readonly changes: string[] = [];
  readonly states: LinkState[] = [];
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
  /** The machine answers a question whether it is there. */
  isAwake = true;
  isOffline = false;
  wake: () => void = () => undefined;
  readonly time = new FakeTime();
  readonly #passing = new Set<FakeSocket>();
  /** Of a network: the one that the phone has sent something on. */
  #talking: FakeSocket | null = null;
  #onConnect: (socket: FakeSocket) => void = () => undefined;
  #isThere: () => boolean = () => true;
  #pong: (socket: FakeSocket) => void = () => undefined;

  private constructor(machine: string, key: string, stored: Awaited<ReturnType<typeof importSecret>>) {
    this.key = key;
    const deps: PhoneDeps = {
      host: "shim.example",
      connect: () => this.#connect(),
      isOver: async () => this.isOver,
      onOver: async () => void this.overs++,
      forget: async () => undefined,
      onReached: () => undefined,
      now: () => this.time.now,
      setTimer: this.time.setTimer,
      isHidden: () => false,
      isOffline: () => this.isOffline,
      onWake: (work) => (this.wake = work),
    };
    this.time.onPassing(settled);
    const phone = { id: "p".repeat(44), machine, endsAt: 1, replaced: [], access: randomText(32) };
    this.backend = new PhoneBackend({ ...phone, scope: "view", key: stored, heardAt: 0 }, deps);
  }

  static async make(machine = "ada-laptop"): Promise<PhoneRig> {
    const key = randomText(32);
    return new PhoneRig(machine, key, await importSecret(fromBase64url(key)));
  }

  /** A phone with an open session. */
  static async inSession(): Promise<PhoneRig> {
    const rig = await PhoneRig.make();
    rig.follow();
    rig.last.emit("open");
    await rig.relay({ isThere: true });
    return rig;
  }

  follow(end = new AbortController()): void {
    this.backend.follow(
      (part) => this.changes.push(part),
      (state) => this.states.push(state),
      end.signal,
    );
  }

  get isLive(): boolean {
    return this.backend.state.isLive;
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nothing is connected");
    return socket;
  }

  /** A network that opens each connection by itself, until the test cuts it: then nothing passes, and nothing says so. */
  ofNetwork(): { isThere: boolean; machineIsThere: (isThere: boolean) => void } {
    let isMachineThere = true;
    const network = {
      isThere: true,
      machineIsThere: (isThere: boolean): void => {
        isMachineThere = isThere;
        if (!isThere) this.machine = null;
        if (network.isThere) for (const socket of this.#passing) send(socket);
      },
    };
    const send = (socket: FakeSocket): void =>
      socket.emit("message", { data: JSON.stringify({ isThere: isMachineThere }) });
    this.#onConnect = (socket) => {
      if (!network.isThere) return;
      this.time.setTimer(() => {
        if (!network.isThere || socket.isClosed) return;
        this.#passing.add(socket);
        socket.emit("open");
        send(socket);
      }, 200);
    };
    this.#isThere = () => network.isThere && isMachineThere;
    this.#pong = (socket) => network.isThere && this.#passing.has(socket) && socket.emit("message", { data: "pong" });
    return network;
  }

  /** The coordinator sends it to the phone. */
  async relay(frame: PhoneFrame | RelayFrame): Promise<void> {
    (this.#talking ?? this.last).emit("message", { data: JSON.stringify(frame) });
    await settled();
  }

  async answer(content: object): Promise<SealedFrame> {
    if (!this.machine) throw new Error("there is no session");
    const frame = await this.machine.seal(content);
    await this.relay(frame);
    return frame;
  }

  async pass(ms: number): Promise<void> {
    await this.time.pass(ms);
    await settled();
  }

  #connect(): FakeSocket {
    const socket: FakeSocket = new FakeSocket((text) => void this.#hear(text, socket));
    this.sockets.push(socket);
    this.#onConnect(socket);
    return socket;
  }

  async #hear(text: string, socket: FakeSocket): Promise<void> {
    if (text === "ping") return this.#pong(socket);
    if (!this.#isThere()) return;
    if (this.#passing.has(socket)) this.#talking = socket;
    const frame = JSON.parse(text) as PhoneFrame;
    if ("sealed" in frame) return this.isPassing ? this.receive(frame) : void this.dropped.push(frame);
    if (!this.isAnswering) return;
    const answer = randomText(16);
    const times = { at: this.time.now, now: () => this.time.now };
    this.machine = await PhoneChannel.open("machine", fromBase64url(this.key), frame.open, answer, times);
    await this.relay({ open: frame.open, answer, at: times.at });
  }

  /** The machine gets a frame. */
  async receive(frame: SealedFrame): Promise<void> {
    const request = (await this.machine?.open(frame)) as { id: number; ping?: true } | undefined;
    if (request?.ping) return this.isAwake ? void (await this.answer({ id: request.id, value: {} })) : undefined;
    if (request !== undefined) this.requests.push(request);
  }
}

/** Until work of WebCrypto and streams that has begun is done: more of the same kind, after it, is done. */
export async function settled(): Promise<void> {
  const key = new Uint8Array(32);
  for (let round = 0; round < 4; round++) {
    const times = { at: 0, now: () => 0 };
    const phone = await PhoneChannel.open("phone", key, "", "", times);
    const machine = await PhoneChannel.open("machine", key, "", "", times);
    await machine.open(await phone.seal("x"));
    await new Promise((resolve) => setImmediate(resolve));
  }
}
