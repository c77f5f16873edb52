import { findRealPath } from "../platform/shim-command.ts";
import type { Entry, SettingsFile } from "./file-edits.ts";
import { ourHooks } from "./hook-lists.ts";
import { objectAt, objectIn } from "./settings.ts";

/**
 * [IN34] Trust in SHIM's hooks that Codex keeps in its config.toml, by the position of each
 * in the file of hooks.
 */
export function trustEntry(file: SettingsFile, hooks: SettingsFile, events: readonly string[]): Entry {
  const keys = trustKeys(hooks, events);
  const says = "removes the trust in SHIM's hooks";
  return {
    file,
    add: null,
    remove: {
      says,
      apply(root) {
        const known = objectAt(root, ["hooks", "state"]);
        for (const key of keys) if (key in known) delete objectIn(objectIn(root, "hooks"), "state")[key];
      },
    },
  };
}

/** The path may have been written without its links. */
function trustKeys({ path, root }: SettingsFile, events: readonly string[]): string[] {
  const files = [...new Set([path, findRealPath(path) ?? path])];
  return events.flatMap((event) =>
    ourHooks(root, event).flatMap(({ at }) => files.map((file) => [file, snakeCase(event), ...at].join(":"))),
  );
}

function snakeCase(name: string): string {
  return name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
