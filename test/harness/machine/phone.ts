import { expect, onTestFinished } from "vitest";
import { setTimer } from "#src/platform/timers.ts";
import { readPairingFragment } from "#src/pairing/pairing.ts";
import { randomText } from "#src/pairing/sealing.ts";
import { toAnswer, type Answer, type LinkState } from "#src/web/backend.ts";
import { awaitGrant, beginPairing, introduce, numberOf, pairingDeps, type PairingDeps } from "#src/web/phone/pair.ts";
import { PhoneBackend } from "#src/web/phone/phone-backend.ts";
import type { BegunPairing, StoredPhone } from "#src/web/phone/stored-phone.ts";
import type { CliHome } from "./cli-home.ts";

/** A phone without a browser: what its page does, over the real coordinator. */
export class Phone {
  granted: StoredPhone | null = null;
  readonly over = Promise.withResolvers<void>();
  readonly changes: string[] = [];
  readonly #origin: string;
  readonly #begun: BegunPairing;

  private constructor(origin: string, begun: BegunPairing) {
    this.#origin = origin;
    this.#begun = begun;
  }

  /** One that has opened the link. */
  static async open(link: string, name: string, browser = randomText(16)): Promise<Phone> {
    const { origin, hash } = new URL(link);
    const read = readPairingFragment(hash);
    if (read === null) throw new Error(`no link: ${link}`);
    const phone = new Phone(origin, await beginPairing(read, name, browser));
    expect(await introduce(phone.#begun, phone.#deps)).toMatchObject({ ok: true });
    return phone;
  }

  get id(): string {
    return this.#begun.link.id;
  }

  get #deps(): PairingDeps {
    const headers = { "content-type": "application/json", origin: this.#origin };
    const post = async (path: string, body: object): Promise<Answer<unknown>> =>
      toAnswer(await fetch(`${this.#origin}${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
    return { ...pairingDeps, post };
  }

  number(): Promise<string> {
    return numberOf(this.#begun);
  }

  /** Asks once. */
  async takeGrant(): Promise<void> {
    const end = new AbortController();
    const wait = async (): Promise<void> => end.abort();
    const granted = await awaitGrant(this.#begun, { ...this.#deps, wait }, end.signal);
    this.granted = granted.ok ? granted.value : null;
  }

  /** Its page, which has a session at its machine. */
  async connect(): Promise<PhoneBackend> {
    if (this.granted === null) throw new Error("nothing was granted");
    const page = new PhoneBackend(this.granted, {
      connect: ({ id, access }) => {
        const more = { protocols: ["shim.phone", access], headers: { origin: this.#origin } };
        return new WebSocket(`${this.#origin.replace("http", "ws")}/v1/phones/${id}/connect`, more as never);
      },
      host: "",
      isOver: async () => false,
      onOver: async () => this.over.resolve(),
      forget: async () => undefined,
      onReached: () => undefined,
      now: () => Date.now(),
      setTimer,
      isHidden: () => false,
      isOffline: () => false,
      onWake: () => undefined,
    });
    const end = new AbortController();
    onTestFinished(() => end.abort());
    await new Promise<void>((resolve) => {
      const onState = ({ isLive }: LinkState): void => void (isLive && resolve());
      page.follow((changed) => void this.changes.push(changed), onState, end.signal);
    });
    return page;
  }
}

/** `shim pair` on a terminal, whose user answers; the phone opens the link that was printed. */
export async function pair(
  home: CliHome,
  words = "pair",
  reply = "y",
  name = "Pixel 9, Chrome",
  browser = randomText(16),
) {
  const opened: Phone[] = [];
  let [asked, err] = ["", ""];
  const wait = async (): Promise<void> => {
    const [link = ""] = /http\S+#pair=\S+/.exec(err) ?? [];
    if (opened.length === 0) opened.push(await Phone.open(link, name, browser));
  };
  const terminal = { isInteractive: true, interrupted: () => new AbortController().signal };
  const stderr = (text: string): void => void (err += text);
  const ask = async (question: string) => ((asked = question), reply);
  const ran = await home.shimWith({ ...terminal, stderr, wait, ask }, words);
  const [phone] = opened;
  if (!phone) throw new Error(`nothing was offered: ${ran.out}${err}`);
  const shown = name.replace("\n", " ");
  expect(asked).toContain(`"${shown}" has opened the link. Does it show ${await phone.number()}`);
  await phone.takeGrant();
  return { ran: { ...ran, err }, phone };
}
