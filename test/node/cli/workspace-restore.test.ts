import { expect, it } from "vitest";
import { aCliHome, failed } from "#harness/machine/cli-home.ts";

it("[DO58] this machine's own coordinator has no past to go back to, and a time is needed", async () => {
  const home = aCliHome();
  const restore = (...words: string[]) => home.shim("workspace restore", ...words);
  expect(await restore("--to", "2h", "--reason", "a wrong script", "--yes")).toMatchObject(
    failed(2, "workspace.restore needs a workspace that machines share"),
  );
  expect(await restore("--to", "soon", "--reason", "a wrong script")).toMatchObject({ code: 2 });
  expect(await restore("--reason", "a wrong script")).toMatchObject({ code: 2 });
});
