import { expect, it } from "vitest";
import type { Fleet } from "#src/contract/machine/page.ts";
import type { LinkState } from "#src/web/backend.ts";
import { Machines } from "#src/web/phone/machines.ts";
import { PhoneRig, settled } from "#harness/web/phone-rig.ts";

const empty = { conflicts: [], notices: [], trouble: null, costUsdToday: null, unpricedTokensToday: 0, where: "" };

function aFleet(ids: readonly string[], more: object = {}): Fleet {
  const rows = ids.map((id) => ({ id, machine: null, title: `Work of ${id}` }));
  return { ...empty, rows, chats: [], requests: [], ...more } as never;
}

/** What a machine was asked for. */
function named(rig: PhoneRig): (string | undefined)[] {
  return rig.requests.map(({ name }) => name);
}

function projects(...paths: string[]): object[] {
  return paths.map((project) => ({ project, endsInMs: null }));
}

function lane(id: string, toMs: number): object {
  return { id, spans: [{ kind: "works", fromMs: toMs + 1, toMs }], marks: [] };
}

/** A phone that is paired with two machines, each of which is there. */
async function twoMachines() {
  const rigs = [await PhoneRig.make("ada-laptop"), await PhoneRig.make("build-box")] as const;
  const machines = new Machines(rigs.map(({ backend }) => backend));
  const states: LinkState[] = [];
  const changes: string[] = [];
  machines.follow(
    (part) => changes.push(part),
    (state) => states.push(state),
    new AbortController().signal,
  );
  for (const rig of rigs) {
    rig.last.emit("open");
    await rig.relay({ isThere: true });
  }
  const [laptop, box] = rigs;
  /** Answers of the machines to a call, those that are there. */
  const answering = async <T>(call: Promise<T>, ...values: readonly unknown[]): Promise<T> => {
    await settled();
    for (const [n, value] of values.entries()) {
      const id = rigs[n]?.requests.at(-1)?.id;
      if (value !== undefined) await rigs[n]?.answer({ id, value });
    }
    return call;
  };
  return { machines, states, changes, laptop, box, answering };
}

it("a phone of two machines shows the chats of both, each once and with its machine, and whose permission is asked for", async () => {
  const { machines, answering } = await twoMachines();
  const asked = { id: "k3v9", session: "a1", client: "Claude Code 2.1" };
  const dead = { id: "b1", machine: "build-box", title: "seen from elsewhere" };
  const chats = [
    { chat: "b1", session: "b1" },
    { chat: "c1", session: "s1" },
  ];
  const laptopFleet = aFleet(["a1"], { chats, requests: [asked], costUsdToday: 1, notices: ["update"] });
  const both = await answering(
    machines.call("page.fleet", {}),
    { ...laptopFleet, rows: [...laptopFleet.rows, dead] },
    aFleet(["b1"], { chats: [chats[1]], costUsdToday: 2, ended: 3 }),
  );
  const value = both.ok ? both.value : null;
  expect(value?.rows.map(({ id, machine, title }) => `${id} ${machine} ${title}`)).toEqual([
    "a1 ada-laptop Work of a1",
    "b1 build-box Work of b1",
  ]);
  expect(value?.chats.map(({ chat }) => chat)).toEqual(["c1"]);
  expect(value?.requests).toMatchObject([{ id: "k3v9", client: "Claude Code 2.1 · ada-laptop" }]);
  expect(value).toMatchObject({ costUsdToday: 3, ended: 3, notices: ["ada-laptop: update"] });
});

it("an answer and words go to the machine that has the chat, a view that was opened by its address finds it, and of two with one id none is asked", async () => {
  const { machines, laptop, box, answering } = await twoMachines();
  const request = { session: "b1", client: "Codex" };
  const first = machines.call("page.session", { session: "b1" });
  await answering(Promise.resolve(), aFleet(["a1"]), aFleet(["b1"], { requests: [{ ...request, id: "r1" }] }));
  expect(await answering(first, undefined, "page of b1")).toEqual({ ok: true, value: "page of b1" });
  const answer = machines.call("requests.answer", { request: "r1", decision: "allow" }, "n1");
  await answering(answer, undefined, {});
  expect([named(laptop), named(box)]).toEqual([["page.fleet"], ["page.fleet", "page.session", "requests.answer"]]);
  const same = [{ ...request, id: "r1" }];
  await answering(
    machines.call("page.fleet", {}),
    aFleet(["a1"], { requests: same }),
    aFleet(["b1"], { requests: same }),
  );
  const twice = await machines.call("requests.answer", { request: "r1", decision: "allow" }, "n2");
  expect(twice).toMatchObject({ ok: false, error: { code: "ambiguous" } });
});

it("a new chat begins on the machine that has the project, and is stopped there; of a project that both have none begins", async () => {
  const { machines, laptop, box, answering } = await twoMachines();
  const clients = [{ name: "codex", title: "Codex" }];
  const runs = [{ run: "u1", ageMs: 5 }];
  const listed = await answering(
    machines.call("runs.list", {}),
    { clients, projects: projects("/shop", "/both"), runs: [] },
    { clients, projects: projects("/render", "/both"), runs },
  );
  expect(listed).toMatchObject({ value: { clients, projects: { length: 4 }, runs } });
  await answering(machines.call("runs.start", { project: "/render", text: "/shop" }, "n1"), undefined, {});
  await answering(machines.call("runs.stop", { run: "u1" }, "n2"), undefined, {});
  expect([named(laptop), named(box)]).toEqual([["runs.list"], ["runs.list", "runs.start", "runs.stop"]]);
  const both = await machines.call("runs.start", { project: "/both", text: "x" }, "n3");
  expect(both).toMatchObject({ ok: false, error: { code: "ambiguous" } });
});

it("a machine that is away delays no list of the others, which says since when it is; its chats cannot be answered, and the page is live", async () => {
  const { machines, states, laptop, box, answering } = await twoMachines();
  await answering(machines.call("page.fleet", {}), aFleet(["a1"]), aFleet(["b1"]));
  await box.pass(60_000);
  await box.relay({ isThere: false });
  expect(states.at(-1)).toEqual({ isLive: true });
  const fleet = await answering(machines.call("page.fleet", {}), aFleet(["a1"]));
  expect(fleet).toMatchObject({ ok: true, value: { rows: [{ id: "a1" }] } });
  const notice = /^build-box is off or asleep, or no chat runs there \(last heard .+\): its chats are not shown\.$/;
  expect(fleet.ok && fleet.value.notices).toEqual([expect.stringMatching(notice)]);
  expect(machines.troubleOf("a1")).toBeNull();
  expect(machines.troubleOf("b1")).toMatch(/^Not possible now: build-box is off/);
  await laptop.relay({ isThere: false });
  expect(states.at(-1)).toMatchObject({ isLive: false, why: expect.stringMatching(/^ada-laptop is.*; build-box is/) });
  const alone = await machines.call("requests.message", { session: "b1", text: "x" }, "n1");
  expect(alone).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining("build-box is off") },
  });
});

it("days and messages of two machines are one list by time; a machine that was forgotten is asked no more", async () => {
  const { machines, states, laptop, box, answering } = await twoMachines();
  const day = await answering(
    machines.call("page.day", { hours: 24 }),
    { hours: 24, lanes: [lane("a1", 5), lane("a2", 50)], scripts: 1, isAll: true },
    { hours: 24, lanes: [lane("b1", 20)], scripts: 2, isAll: false },
  );
  expect(day).toMatchObject({ value: { lanes: [{ id: "a1" }, { id: "b1" }, { id: "a2" }], scripts: 3, isAll: false } });
  const told = await answering(
    machines.call("page.messages", {}),
    { messages: [{ id: 1, ageMs: 10, text: "a" }] },
    { messages: [{ id: 1, ageMs: 5, text: "b" }] },
  );
  expect(told).toMatchObject({
    value: {
      messages: [
        { id: 0, text: "b" },
        { id: 1, text: "a" },
      ],
    },
  });
  await laptop.relay({ isThere: false });
  expect(states.at(-1)).toEqual({ isLive: true });
  machines.remove(box.backend);
  expect(states.at(-1)).toMatchObject({ isLive: false });
  await laptop.relay({ isThere: true });
  const fleet = await answering(machines.call("page.fleet", {}), aFleet(["a1"]));
  expect([fleet.ok, box.time.timers, named(box).length, named(laptop).length]).toEqual([true, 0, 2, 3]);
});
