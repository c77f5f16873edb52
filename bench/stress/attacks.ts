import { setTimeout as pause } from "node:timers/promises";
import { range } from "../measure.ts";
import { aChat, StressSocket, type Answer, type Call } from "./wire.ts";

/** Where an attack happens, and what it may use. */
export interface Target {
  /** URL of the workspace. */
  readonly workspace: string;
  readonly adminToken: string;
  /** Of another machine than the neighbour's: scopes observe, submit and work. */
  readonly tokens: Readonly<Record<"observe" | "submit" | "work", string>>;
}

/** What the attacker got. */
export class Tally {
  accepted = 0;
  readonly refused: Record<string, number> = {};
  /** Sockets that were opened, and those that were closed by the coordinator, by code. */
  opened = 0;
  readonly closed: Record<string, number> = {};

  count(answers: readonly Answer[] | null): void {
    for (const { error } of answers ?? []) {
      if (error) this.refuse(error.data.code);
      else this.accepted += 1;
    }
  }

  refuse(code: string): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
  }

  close(code: number): void {
    this.closed[code] = (this.closed[code] ?? 0) + 1;
  }
}

/** Goes on until `isOver`. @throws nothing: whatever the coordinator refuses is counted */
type Attack = (target: Target, tally: Tally, isOver: () => boolean) => Promise<void>;

export const attacker = "attacker";

/** One frame after the other; opens another socket when the coordinator closes it. */
async function hammer(
  open: () => Promise<StressSocket | null>,
  frames: (n: number) => readonly Call[],
  tally: Tally,
  isOver: () => boolean,
): Promise<void> {
  let socket = await open();
  for (let n = 0; !isOver(); n++) {
    if (socket === null || socket.closedWith !== null) {
      if (socket?.closedWith) tally.close(socket.closedWith);
      socket = await open();
      if (socket) tally.opened += 1;
      else {
        tally.refuse("connect");
        await pause(100);
        continue;
      }
    }
    tally.count(await socket.frame(frames(n)));
  }
  socket?.close();
}

function admin({ workspace, adminToken }: Target): Promise<StressSocket | null> {
  return StressSocket.open(workspace, adminToken);
}

async function once(target: Target, calls: readonly Call[]): Promise<void> {
  const socket = await admin(target);
  await socket?.frame(calls);
  socket?.close();
}

function set(key: string, value: unknown): Call {
  return { method: "state.set", params: { key, value } };
}

/** One chat waits for the same lease again and again. */
const waiters: Attack = async (target, tally, isOver) => {
  const { workspace, tokens } = target;
  const holder = await aChat(workspace, tokens.work, attacker, "holder");
  const held = { self: holder.self, resource: "wanted", requestId: "q", ttlMs: 3_600_000 };
  await holder.socket.frame([{ method: "leases.acquire", params: held }]);
  const { socket, self } = await aChat(workspace, tokens.work, attacker, "waiter");
  const wait = (n: number): Call => ({
    method: "leases.acquire",
    params: { self, resource: "wanted", requestId: `q${n}`, waitMs: 3_600_000 },
  });
  const again = keptOpen(socket, () => StressSocket.open(workspace, tokens.work));
  await hammer(again, (n) => range(10, (at) => wait(10 * n + at)), tally, isOver);
  holder.socket.close();
};

/** Small frames with large answers. */
const answers: Attack = async (target, tally, isOver) => {
  await once(
    target,
    range(8, (n) => set(`large/${n}`, "x".repeat(124_000))),
  );
  const { workspace, tokens } = target;
  const list: Call = { method: "state.list", params: {} };
  await hammer(
    () => StressSocket.open(workspace, tokens.observe),
    () => range(100, () => list),
    tally,
    isOver,
  );
};

/** Watches that nothing matches, on as many sockets as there may be. */
const watches: Attack = async ({ workspace, tokens }, tally, isOver) => {
  const sockets: StressSocket[] = [];
  while (!isOver() && sockets.length < 1_000) {
    const socket = await StressSocket.open(workspace, tokens.observe);
    if (!socket) {
      tally.refuse("connect");
      break;
    }
    tally.opened += 1;
    sockets.push(socket);
    tally.count(
      await socket.frame(
        range(16, (n) => ({ method: "state.watch", params: { watch: `w${n}`, prefix: `nothing/${n}/` } })),
      ),
    );
  }
  while (!isOver()) {
    for (const socket of sockets) socket.ping();
    await pause(500);
  }
  for (const socket of sockets) socket.close();
};

/** Tasks of ever new types. */
const lanes: Attack = async ({ workspace, tokens }, tally, isOver) => {
  await hammer(
    () => StressSocket.open(workspace, tokens.submit),
    (n) => [submit(n)],
    tally,
    isOver,
  );
};

function submit(n: number): Call {
  const tasks = range(100, (at) => ({ type: `type-${100 * n + at}`, payload: at }));
  return { method: "tasks.submit", params: { tasks } };
}

/** The same few keys again and again: what is kept of it is the history. */
const storage: Attack = async (target, tally, isOver) => {
  await once(target, [
    { method: "settings.set", params: { settings: { maxStorageBytes: storageLimit, maxStateChars: 1_000_000 } } },
  ]);
  const { workspace, tokens } = target;
  await hammer(() => StressSocket.open(workspace, tokens.submit), largeValues, tally, isOver);
};
const storageLimit = 100_000_000;

function largeValues(n: number): readonly Call[] {
  return range(7, (at) => set(`again/${at}`, "x".repeat(130_000 + (n % 100))));
}

/** Frames of 100 small writes, on several sockets. */
const frames: Attack = async ({ workspace, tokens }, tally, isOver) => {
  const open = (): Promise<StressSocket | null> => StressSocket.open(workspace, tokens.submit);
  await Promise.all(range(4, () => hammer(open, smallValues, tally, isOver)));
};

function smallValues(n: number): readonly Call[] {
  return range(100, (at) => set(`small/${at}`, n));
}

/** Messages that the neighbour's subscription does not match, behind one that it has not read. */
const inbox: Attack = async ({ workspace, tokens }, tally, isOver) => {
  const { socket, self } = await aChat(workspace, tokens.work, attacker, "writer");
  const send = (topic: string): Call => ({
    method: "messages.send",
    params: { self, target: { to: "topic", topic }, body: "x" },
  });
  await socket.frame([send("stress.unread")]);
  const again = keptOpen(socket, () => StressSocket.open(workspace, tokens.work));
  await hammer(again, () => range(50, () => send("elsewhere")), tally, isOver);
};

function acquire(self: object, requestId: string, resource: string, waitMs = 0): Call {
  return { method: "leases.acquire", params: { self, resource, requestId, ttlMs: 3_600_000, waitMs } };
}

/** One chat holds folders, another has all its waits and asks for more, five frames at a time. */
const leases: Attack = async ({ workspace, tokens }, tally, isOver) => {
  const holder = await aChat(workspace, tokens.work, attacker, "holder");
  await holder.socket.frame(range(90, (at) => acquire(holder.self, "q", `file:p/folder${at}/**`)));
  const waiter = await aChat(workspace, tokens.work, attacker, "waiter");
  await waiter.socket.frame(
    range(100, (at) => acquire(waiter.self, `q${at}`, `file:p/folder${at % 90}/file`, 3_600_000)),
  );
  const frame = (n: number): readonly Call[] =>
    range(20, (at) => acquire(waiter.self, `more${20 * n + at}`, "file:p/**", 3_600_000));
  const open = (): Promise<StressSocket | null> => StressSocket.open(workspace, tokens.work);
  await Promise.all(range(5, () => hammer(open, frame, tally, isOver)));
  for (const { socket } of [holder, waiter]) socket.close();
};

const sealed = { device: "attacker", keyId: "0123456789abcdef" };

function putSessions(n: number): Call {
  const one = { kind: "session", ageMs: 0, envelope: "x", replaces: 0 };
  return {
    method: "sync.put",
    params: { ...sealed, records: range(200, (at) => ({ ...one, session: `s${200 * n + at}` })) },
  };
}

/** Sessions of one character, which every other machine must read. */
const sessions: Attack = async ({ workspace, tokens }, tally, isOver) => {
  await hammer(
    () => StressSocket.open(workspace, tokens.work),
    (n) => [putSessions(n)],
    tally,
    isOver,
  );
};

function putParts(n: number): Call {
  const one = { kind: "part", ageMs: 0, envelope: "x", checkpoint: "k", bundle: `b${n}`, part: 1 + (n % 200) };
  return { method: "sync.put", params: { ...sealed, records: range(200, (at) => ({ ...one, session: `s${at}` })) } };
}

/** Parts of bundles that are never complete. */
const bundles: Attack = async ({ workspace, tokens }, tally, isOver) => {
  await hammer(
    () => StressSocket.open(workspace, tokens.work),
    (n) => [n === 0 ? putSessions(0) : putParts(n)],
    tally,
    isOver,
  );
};

/** First the socket that is there. */
function keptOpen(first: StressSocket, open: () => Promise<StressSocket | null>): () => Promise<StressSocket | null> {
  let isFirst = true;
  return () => {
    if (!isFirst) return open();
    isFirst = false;
    return Promise.resolve(first);
  };
}

export const attacks = {
  waiters,
  answers,
  watches,
  lanes,
  storage,
  frames,
  inbox,
  leases,
  sessions,
  bundles,
} as const;
export type AttackName = keyof typeof attacks;

export function isAttack(name: string): name is AttackName {
  return Object.hasOwn(attacks, name);
}

if (import.meta.main) {
  // In a process of its own, so that it does not take the neighbour's time: `node attacks.ts <target as JSON> <attack> <ms>`.
  const [target = "", name = "", ms = ""] = process.argv.slice(2);
  if (!isAttack(name)) throw new Error(`there is no attack ${name}`);
  const tally = new Tally();
  const report = (): void => {
    console.log(JSON.stringify(tally));
    // A coordinator that hangs answers nothing more.
    process.exit();
  };
  const until = performance.now() + Number(ms);
  setTimeout(report, Number(ms) + 2_000);
  await attacks[name](JSON.parse(target) as Target, tally, () => performance.now() >= until);
  report();
}
