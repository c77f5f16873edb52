import type { LiveLine, PageCall } from "../../contract/live-page.ts";
import type { MachineOperationName } from "../../contract/machine/operations.ts";
import type { PhonePush, PushState } from "../../contract/phone-frames.ts";
import { nameOf, readEdgeConfig, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { PhoneRelay } from "../../coordinator-client/phone-relay.ts";
import { changePhone, phoneFileMark, readPhones, type PairedPhone } from "../../machine/sharing/phones/phone-file.ts";
import { setIdleTimer } from "../../platform/timers.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isWithin } from "../../shared/known-time.ts";
import { type Result, fail } from "../../shared/result.ts";
import { OperationRunner } from "./operation-runner.ts";
import { hostContext } from "./system-site.ts";
import { PhoneDoor } from "./phone-door.ts";
import { PhoneLink } from "./phone-link.ts";

const seen: readonly MachineOperationName[] = [
  "conversation.read",
  "conversation.call",
  "conversation.picture",
  "conversation.search",
  "page.fleet",
  "page.session",
  "page.day",
  "page.messages",
  "requests.list",
  "requests.show",
  "runs.list",
];
const answers: readonly MachineOperationName[] = ["requests.answer", "requests.message", "runs.start", "runs.stop"];

/** Operations of the page that a phone may call. */
const calls: Readonly<Record<PairedPhone["scope"], ReadonlySet<string>>> = {
  view: new Set(seen),
  answer: new Set([...seen, ...answers]),
};

/** A phone that is there is noted this often, in ms. */
const seenEveryMs = 60_000;

/** Connections of this machine's host with the phones that are paired with it. */
export class PhoneLinks {
  readonly #runtime: Runtime;
  readonly #links = new Map<string, PhoneLink>();
  readonly #seenAt = new Map<string, number>();
  /** State of the files from which the present links come. */
  #mark: string | null = null;
  /** For phones that reach this machine without a coordinator. */
  readonly door: PhoneDoor;
  /** The settings of the coordinator that the present links use. */
  #edge = "";

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.door = new PhoneDoor(runtime);
  }

  /** Begins and ends connections after a change of the files, and ends those whose time is over. */
  refresh(): void {
    const { paths, env, now } = this.#runtime;
    const edge = readEdgeConfig(paths.home, env);
    const workspace = edge.ok && edge.value ? edge.value : null;
    const settings = JSON.stringify(workspace);
    const mark = `${phoneFileMark(paths.home)} ${settings}`;
    for (const link of this.#links.values()) if (link.phone.endsAt <= now()) this.#end(link);
    if (mark === this.#mark) return;
    this.#mark = mark;
    // A token that was renewed replaces one that the coordinator may refuse soon.
    if (settings !== this.#edge) this.close();
    this.#edge = settings;
    const { phones, offered } = readPhones(paths.home);
    this.#follow(
      phones.filter(({ endsAt }) => endsAt > now()),
      workspace,
    );
    if (phones.some(({ own }) => own !== null)) void this.#openDoor();
    else if (offered.every(({ own }) => own === null)) void this.door.close();
  }

  #follow(phones: readonly PairedPhone[], workspace: EdgeConfig | null): void {
    const relay = workspace && new PhoneRelay(workspace);
    const present = workspace && nameOf(workspace);
    const reachable = new Map(
      phones.filter((phone) => phone.own !== null || phone.workspace === present).map((phone) => [phone.id, phone]),
    );
    for (const link of this.#links.values()) if (reachable.get(link.phone.id)?.key !== link.phone.key) this.#end(link);
    for (const phone of reachable.values()) if (!this.#links.has(phone.id)) this.#begin(phone, relay);
  }

  async #openDoor(): Promise<void> {
    const opened = await this.door.open();
    if (!opened.ok) this.#runtime.log("warn", "phones cannot reach this machine", { error: opened.error.message });
  }

  changed(part: LiveLine["changed"]): void {
    for (const link of this.#links.values()) link.changed(part);
  }

  close(): void {
    for (const link of this.#links.values()) this.#end(link);
  }

  async stop(): Promise<void> {
    this.close();
    await this.door.close();
  }

  /** @param relay null: the phone needs none */
  #begin(phone: PairedPhone, relay: PhoneRelay | null): void {
    const { log } = this.#runtime;
    const link = new PhoneLink({
      phone,
      connect: (events) =>
        relay === null || phone.own !== null
          ? this.door.connectMachine(phone.id, events)
          : relay.connect(phone.id, events),
      refusal: async () => (phone.own === null ? ((await relay?.refusal(phone.id)) ?? null) : null),
      setTimer: setIdleTimer,
      now: this.#runtime.now,
      call: callsOf(this.#runtime, phone, () => this.changed("team")),
      onPush: (push, isTest) => this.#takePush(phone.id, push, isTest),
      onSeen: () => this.#noteSeen(phone.id),
      log,
    });
    this.#links.set(phone.id, link);
  }

  /** Its choice of notifications. @returns what came of the last one */
  async #takePush(id: string, push: PhonePush | null, isTest: boolean): Promise<PushState> {
    const { paths, now } = this.#runtime;
    const find = (): PairedPhone | undefined => readPhones(paths.home).phones.find((one) => one.id === id);
    const phone = find();
    if (JSON.stringify(phone?.push) !== JSON.stringify(push)) changePhone(paths.home, now(), id, { push });
    if (isTest && push !== null && phone !== undefined) {
      const { notifyPhone, testNotification } = await import("../notify/web-push.ts");
      // The state has why it failed.
      await notifyPhone(this.#runtime, { phone, push }, testNotification).catch(() => undefined);
    }
    const pushed = find()?.pushed ?? null;
    return { last: pushed && { ageMs: now() - pushed.at, problem: pushed.problem } };
  }

  #end(link: PhoneLink): void {
    link.close();
    this.#links.delete(link.phone.id);
  }

  #noteSeen(id: string): void {
    const { paths, now } = this.#runtime;
    const at = now();
    if (isWithin(at - (this.#seenAt.get(id) ?? Number.NEGATIVE_INFINITY), seenEveryMs)) return;
    this.#seenAt.set(id, at);
    changePhone(paths.home, at, id, { seenAt: at });
  }
}

/** Does calls as the live page does, in the name of the phone, within its scope. */
function callsOf(
  runtime: Runtime,
  { name, scope }: PairedPhone,
  onTeamChanged: () => void,
): (call: PageCall) => Promise<Result<unknown>> {
  const runner = new OperationRunner({ ...hostContext(runtime), by: `phone ${name}` });
  let answer: ReturnType<OperationRunner["pageCalls"]> | null = null;
  return async (call) => {
    if (calls[scope].has(call.name)) return (await (answer ??= runner.pageCalls(onTeamChanged)))(call);
    const message = `this phone may not call ${call.name}: it was paired to ${scope}`;
    return fail("forbidden", message);
  };
}
