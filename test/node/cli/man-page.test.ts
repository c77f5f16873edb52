import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { aCliHome } from "#harness/machine/cli-home.ts";
import { Cli, wordsOf } from "#src/cli/cli.ts";
import { build, withSubcommands } from "#src/cli/commands/program.ts";
import { manPage } from "../../../scripts/reference/man-page.ts";

it("the man page has every command with its options, and groff takes it without a warning", async () => {
  const program = await build(new Cli(aCliHome().io()), () => undefined);
  const page = manPage(program, "1.2.3");
  const plain = page.replaceAll(String.raw`\-`, "-");
  for (const command of withSubcommands(program).filter((one) => one !== program)) {
    const from = plain.indexOf(`\n.SS shim ${[...wordsOf(command), command.usage()].join(" ")}\n`);
    expect([wordsOf(command), from < 0]).toEqual([wordsOf(command), false]);
    const own = plain.slice(from + 4, plain.indexOf("\n.SS", from + 4));
    for (const { hidden, flags } of command.options) if (!hidden) expect(own).toContain(`\n.B ${flags}\n`);
  }
  const { error, stderr, stdout } = spawnSync("groff", ["-man", "-Tascii", "-P-cbou", "-ww"], {
    input: page,
    encoding: "utf8",
  });
  if (!error) expect([stderr, /shim +team +chats/.test(stdout)]).toEqual(["", true]);
});
