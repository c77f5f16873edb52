import { signal } from "@preact/signals";
import type { MachineOutput } from "../../contract/machine/operations.ts";
import type { Fleet } from "../../contract/machine/page.ts";
import {
  refused,
  type Answer,
  type Backend,
  type CallName,
  type LinkState,
  type OnChange,
  type OnState,
} from "../backend.ts";
import type { Mergeable } from "./merge-answers.ts";
import type { PhoneBackend } from "./phone-backend.ts";

const mergeable: ReadonlySet<string> = new Set<Mergeable>(["page.fleet", "page.day", "page.messages", "runs.list"]);

/** All machines that this phone is paired with, as one; each has its own connection and key. */
export class Machines implements Backend {
  readonly kind = "phone";
  /** In the order of their pairing; changes with the state of each. */
  readonly all = signal<readonly PhoneBackend[]>([]);
  /** Machine of each session and request that one has named; null: two have, and none is asked. */
  readonly #owners = new Map<string, PhoneBackend | null>();
  readonly #ends = new Map<PhoneBackend, AbortController>();
  #onState: OnState = () => undefined;

  constructor(machines: readonly PhoneBackend[]) {
    this.all.value = machines;
  }

  get canAnswer(): boolean {
    return this.all.value.some((one) => one.canAnswer);
  }

  readonly troubleOf = (session: string): string | null => {
    const owner = this.#only ?? this.#owners.get(session);
    const state = this.all.value.find((one) => one === owner)?.state;
    return state === undefined || state.isLive ? null : `Not possible now: ${state.why}.`;
  };

  readonly call: Backend["call"] = async (name, input, requestId) => {
    const alone = this.#only;
    if (alone !== null) return alone.call(name, input, requestId);
    if (mergeable.has(name)) return (await this.#askAll(name as Mergeable, input)) as never;
    const { text: _, ...rest } = input as Readonly<Record<string, unknown>>;
    const named = Object.values(rest).filter((one) => typeof one === "string");
    // A view that was opened by its address has read no list.
    if (!named.some((id) => this.#owners.has(id))) await this.#askAll("page.fleet", {});
    const owner = named.map((id) => this.#owners.get(id)).find((one) => one !== undefined);
    if (owner === null) return refused("ambiguous", "two machines have the same");
    if (owner !== undefined) return owner.call(name, input, requestId);
    return refused("not_found", "no reachable machine knows it");
  };

  async signOut(): Promise<void> {
    await Promise.all(this.all.value.map((one) => one.signOut()));
  }

  follow(onChange: OnChange, onState: OnState, end: AbortSignal): void {
    this.#onState = onState;
    for (const one of this.all.value) {
      const own = new AbortController();
      this.#ends.set(one, own);
      const report = (): void => {
        // A new list, for the views that show the state of each.
        this.all.value = [...this.all.value];
        onState(this.state);
      };
      one.follow(onChange, report, AbortSignal.any([end, own.signal]));
    }
  }

  /** Its pairing is over, or was forgotten. */
  remove(machine: PhoneBackend): void {
    this.#ends.get(machine)?.abort();
    this.all.value = this.all.value.filter((one) => one !== machine);
    for (const [id, owner] of this.#owners) if (owner === machine) this.#owners.delete(id);
    if (this.all.value.length > 0) this.#onState(this.state);
  }

  /** Live while one machine is: what the others have is missing in the lists, which say so. */
  get state(): LinkState {
    const states = this.all.value.map(({ state }) => state);
    const away = states.filter((state) => !state.isLive);
    if (away.length < states.length) return { isLive: true };
    const since = Math.max(...away.map((state) => state.since ?? 0));
    return { isLive: false, since, why: [...new Set(away.map(({ why }) => why))].join("; ") };
  }

  /** Most phones have one machine. */
  get #only(): PhoneBackend | null {
    const { value } = this.all;
    return value.length === 1 ? (value[0] ?? null) : null;
  }

  /** No machine that is away is asked while another one is there: that would delay each list. */
  async #askAll(name: Mergeable, input: object): Promise<Answer<unknown>> {
    const { value } = this.all;
    const there = value.filter(({ state }) => state.isLive);
    const asked = there.length > 0 ? there : value;
    const answers = await Promise.all(
      asked.map(async (one) => [one, await one.call(name as CallName, input as never)] as const),
    );
    const given = answers.flatMap(([one, answer]) =>
      answer.ok ? [{ machine: one.phone.machine, owner: one, value: answer.value as never }] : [],
    );
    if (given.length === 0) return answers[0]?.[1] ?? refused("unreachable", "no machine");
    for (const { owner, value: answer } of given) {
      if (name === "page.fleet") this.#learn(owner, answer);
      if (name === "runs.list") this.#learnRuns(owner, answer);
    }
    const missing = value.filter((one) => !given.some(({ owner }) => owner === one));
    // Most phones have one machine, and need none of it.
    const { merge } = await import("./merge-answers.ts");
    return { ok: true, value: merge[name](given, missing) };
  }

  #learn(owner: PhoneBackend, { rows, requests = [] }: Fleet): void {
    // Dead sessions of another machine are in the list of each: its own one has them whole.
    for (const { id, machine } of rows) if (machine === null || !this.#owners.has(id)) this.#owners.set(id, owner);
    for (const { id } of requests) this.#claim(id, owner);
  }

  #learnRuns(owner: PhoneBackend, { projects, runs }: MachineOutput<"runs.list">): void {
    for (const { project } of projects) this.#claim(project, owner);
    for (const { run } of runs) this.#claim(run, owner);
  }

  /** Each machine makes its own: two may come to the same. */
  #claim(id: string, owner: PhoneBackend): void {
    const other = this.#owners.get(id);
    this.#owners.set(id, other === undefined || other === owner ? owner : null);
  }
}
