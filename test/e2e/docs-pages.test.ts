import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { makeProject } from "#harness/machine/git-project.ts";
import { MachineHome } from "#harness/machine/programs.ts";

const root = join(import.meta.dirname, "..", "..");
const example = "https://shim.example.workers.dev";

/** Each is of a machine: of the first where the page does not say. */
function blocksOf(page: string) {
  const text = readFileSync(join(root, "docs", "guide", page), "utf8");
  return [...text.matchAll(/^```sh(?: (\w+))?\n([\s\S]*?)^```$/gm)].map(([, machine = "first", lines = ""]) => {
    return { machine, lines: lines.trim().split("\n") };
  });
}

function filled(lines: readonly string[], values: Readonly<Record<string, string>>): string[] {
  return lines.map((line) => {
    const text = Object.entries(values).reduce((all, [name, value]) => all.replaceAll(name, value), line);
    expect(text).not.toMatch(/<\w+>/);
    return text;
  });
}

it("the commands of the page to get started work literally: a dead chat is found, restored and dismissed", async () => {
  const machine = new MachineHome();
  const session = await machine.loseAChat("make the parser accept comments");
  const dismissed = await machine.loseAChat("something else");
  const { checkpoints } = await machine.ask("sessions", "show", session);
  const [{ id: checkpoint } = { id: "" }] = checkpoints as { id: string }[];
  for (const { lines } of blocksOf("getting-started.md")) {
    const isDismissing = lines.some((line) => line.includes("--dismiss"));
    await machine.run(filled(lines, { "<session>": isDismissing ? dismissed : session, "<checkpoint>": checkpoint }));
  }
  expect(readFileSync(join(machine.home, "as-it-was", "a.txt"), "utf8")).toBe("one\n");
});

it.for(["two-machines.md", "team.md"])(
  "the commands of %s for several machines work literally, at a coordinator under workerd @night",
  async (page) => {
    const { root: folder, project: origin } = makeProject({ "one.ts": "export {};\n" });
    const edge = await EdgeRuntime.open();
    const machines = {
      first: new MachineHome("desktop", { folder, origin }),
      second: new MachineHome("laptop", { folder, origin }),
    };
    const session = await machines.first.loseAChat("make the parser accept comments");
    let token = "";
    for (const { machine, lines } of blocksOf(page)) {
      const at = machines[machine as keyof typeof machines];
      carry(machines);
      if (lines.some((line) => line.includes("<token>"))) token = await tokenOf(machines.first);
      const values = { [example]: edge.url, "<session>": session, "<token>": token };
      await at.run(filled(lines, values), { SHIM_ADMIN_SECRET: edge.adminSecret });
    }
  },
);

/** As with a USB stick, or by scp. */
function carry({ first, second }: { first: MachineHome; second: MachineHome }): void {
  for (const name of readdirSync(first.home).filter((one) => one.endsWith(".txt")))
    cpSync(join(first.home, name), join(second.home, name));
}

async function tokenOf(machine: MachineHome): Promise<string> {
  const { tokens } = await machine.ask("workspace", "token", "list");
  return (tokens as { id: string; machine: string }[]).find((one) => one.machine === "laptop")?.id ?? "";
}
