import {
  type SettingPath,
  type Settings,
  formatOf,
  json,
  objectIn,
  update,
  valueAt as valueIn,
} from "#src/installer/settings.ts";

/** Changes in JSON texts, as a user or another program makes them. */

export function valueAt(text: string, path: SettingPath): unknown {
  return valueIn(json.read(text), path);
}

/** Makes the objects of the path that are missing. */
export function set(text: string, path: readonly string[], value: unknown): string {
  return update(formatOf("settings.json"), text, (root) => {
    holderOf(root, path)[path.at(-1) ?? ""] = value;
  });
}

export function remove(text: string, path: readonly string[]): string {
  return set(text, path, undefined);
}

function holderOf(root: Settings, path: readonly string[]): Settings {
  return path.slice(0, -1).reduce((holder, key) => objectIn(holder, key), root);
}
