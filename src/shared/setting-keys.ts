/** Lists the keys of all settings, such as `risk.thresholds.memory`. An array is one setting. */
export function listKeys(settings: unknown, before = ""): string[] {
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) return [before];
  return Object.entries(settings).flatMap(([name, inner]) =>
    listKeys(inner, before === "" ? name : `${before}.${name}`),
  );
}

/** @returns a setting or a group of them; undefined where there is none of this key */
export function settingAt(settings: unknown, key: string): unknown {
  let at = settings;
  for (const part of key.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, part)) return undefined;
    at = (at as Record<string, unknown>)[part];
  }
  return at;
}

/** A copy with another value of a setting that exists. */
export function withSetting<Settings extends object>(settings: Settings, key: string, value: unknown): Settings {
  const [first = "", ...rest] = key.split(".");
  const inner = (settings as Record<string, unknown>)[first];
  const changed =
    rest.length === 0
      ? value
      : typeof inner === "object" && inner !== null
        ? withSetting(inner, rest.join("."), value)
        : inner;
  return { ...settings, [first]: changed };
}
