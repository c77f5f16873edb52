import { setImmediate as nextTurn } from "node:timers/promises";
import { PassThrough } from "node:stream";
import { Front, type HostEvents, type HostLink } from "#src/local-mcp/front/front.ts";
import type { ProcessIdentity } from "#src/platform/processes.ts";

/** All that follows from an event has happened by then. */
export async function settled(): Promise<void> {
  await nextTurn();
  await nextTurn();
}

export type FrontRig = ReturnType<typeof aFrontRig>;

type Message = Record<string, unknown>;

function parsed(text: string): Message[] {
  const lines = text.split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Message);
}

export const ownProgram = { version: "2.0.0", builtAt: 1_000 };

/** A host that the test plays. */
function aFakeHost(pid: number, isRestart: boolean, events: HostEvents) {
  const received: Message[] = [];
  const state = { isHeld: false, unsent: 0 };
  const link: HostLink = {
    send: (line) => void received.push(JSON.parse(line) as Message),
    unsentBytes: () => state.unsent,
    pause: () => void (state.isHeld = true),
    resume: () => void (state.isHeld = false),
  };
  const isOwn = ({ id }: Message): boolean => String(id).startsWith("shim-front:");
  const host: ProcessIdentity = { boot: "b", pid, start: "1" };
  return Object.assign(state, {
    isRestart,
    link,
    host,
    greet: (program = ownProgram) => {
      events.onHello({ program, host, repeatable: ["shim_session_status"] });
      return settled();
    },
    /** Messages of the client that the front has passed on. */
    received: () => received.filter((one) => !isOwn(one)),
    /** The front's own requests. */
    control: () => received.filter(isOwn).map(({ method, params }) => ({ method, params })),
    answer: (message: object) => {
      events.onLine(JSON.stringify({ jsonrpc: "2.0", ...message }));
      return settled();
    },
    sendLine: (line: string) => {
      events.onLine(line);
      return settled();
    },
    answerPings: () => {
      for (const one of received)
        if (one["method"] === "shim/ping") events.onLine(JSON.stringify({ jsonrpc: "2.0", id: one["id"], result: {} }));
    },
    takeAll: () => {
      state.unsent = 0;
      events.onDrain();
      return settled();
    },
    die: () => {
      events.onClose("closed");
      return settled();
    },
  });
}

/** A front between a client and hosts that the test plays. */
export function aFrontRig(keepEvent: (given: unknown) => Promise<object> = async () => ({ content: [] })) {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const hosts: ReturnType<typeof aFakeHost>[] = [];
  const exits: number[] = [];
  const logged: string[] = [];
  const ended: ProcessIdentity[] = [];
  let later: { readonly work: () => void; readonly ms: number }[] = [];
  let written = "";
  stdout.on("data", (data: Buffer) => (written += data.toString()));
  const state = { now: 1_700_000_000_000, isClientAlive: true, reserved: 0 };
  const front = new Front({
    stdin,
    stdout,
    program: ownProgram,
    connect: (isRestart, events) => {
      const made = aFakeHost(100 + hosts.length, isRestart, events);
      hosts.push(made);
      return made.link;
    },
    keepEvent,
    endHost: (host) => void ended.push(host),
    reserveStart: () => void (state.reserved += 1),
    isClientAlive: () => state.isClientAlive,
    now: () => state.now,
    schedule: (work, ms) => {
      const one = { work, ms };
      later.push(one);
      return () => {
        if (later.includes(one)) later.splice(later.indexOf(one), 1);
      };
    },
    log: (_, message) => void logged.push(message),
    exit: (code) => void exits.push(code),
  });
  front.start();
  const say = (...messages: (object | string)[]): Promise<void> => {
    for (const one of messages) stdin.write(typeof one === "string" ? one : `${JSON.stringify(one)}\n`);
    return settled();
  };
  /** @returns all that the client has read */
  const heard = (): Message[] => parsed(written);
  /** Runs what was scheduled for at most `ms` from its moment. @returns the delays */
  const pass = async (ms: number): Promise<number[]> => {
    const due = later.filter((one) => one.ms <= ms);
    later = later.filter((one) => one.ms > ms);
    for (const { work } of due) work();
    await settled();
    return due.map((one) => one.ms);
  };
  return Object.assign(state, { front, stdin, stdout, hosts, exits, logged, ended, say, heard, pass });
}
