import { expect, it } from "vitest";
import { start, type StartSystem } from "../../../demo/start.ts";

const claude = { label: "Claude Code", isInstalled: false };

async function started(system: Partial<StartSystem>): Promise<{ code: number; ran: string[]; printed: string }> {
  const ran: string[] = [];
  const lines: string[] = [];
  const code = await start({
    shim: (...words) => Promise.resolve(ran.push(words.join(" "))).then(() => 0),
    clients: () => Promise.resolve([claude]),
    isTerminal: false,
    print: (line) => lines.push(line),
    ...system,
  });
  return { code, ran, printed: lines.join("\n") };
}

it("`npm start` shows a chat that is killed and comes back, and names the command that connects what it found", async () => {
  const piped = await started({});
  expect([piped.code, piped.ran]).toEqual([0, ["demo"]]);
  expect(piped.printed).toContain("Found here: Claude Code. `npm run init` connects");
  expect((await started({ isTerminal: true })).ran).toEqual(["demo", "init"]);
  expect((await started({ clients: () => Promise.resolve([]) })).printed).toContain("No client was found here.");
});

it("with a connected client `npm start` is `shim up`, and a failure of the demo is its own", async () => {
  const connected = await started({ clients: () => Promise.resolve([claude, { ...claude, isInstalled: true }]) });
  expect([connected.ran, connected.printed]).toEqual([["up"], ""]);
  expect(await started({ isTerminal: true, shim: () => Promise.resolve(3) })).toMatchObject({ code: 3 });
});
