import { isRecord } from "../shared/json-fields.ts";
import * as json from "./json-text.ts";
import { pathOf } from "./targets.ts";

const isOurs = (key: string): boolean => key.startsWith("shim@");

export function enabledPlugins(settings: string): string[] {
  const switches = json.valueAt(settings, ["enabledPlugins"]);
  if (!isRecord(switches)) return [];
  return Object.keys(switches).filter((key) => isOurs(key) && switches[key] === true);
}

export interface InstalledPlugin {
  readonly key: string;
  readonly scope: string;
  readonly project: string | null;
  readonly folder: string | null;
}

/**
 * Reads `installed_plugins.json`. A marketplace that is a folder, such as a clone, is read
 * directly; the copy that the list names is then unused (seen with 2.1.328).
 */
export function installedPlugins(
  installed: string,
  marketplaces: string,
  platform: NodeJS.Platform,
): InstalledPlugin[] {
  const plugins = json.valueAt(installed, ["plugins"]);
  if (!isRecord(plugins)) return [];
  return Object.keys(plugins)
    .filter(isOurs)
    .flatMap((key) => {
      const marketplaceFolder = folderMarketplace(marketplaces, key.slice(key.indexOf("@") + 1));
      const entries: unknown[] = Array.isArray(plugins[key]) ? plugins[key] : [];
      return entries.filter(isRecord).map((entry) => ({
        key,
        scope: asText(entry["scope"]) ?? "user",
        project: asText(entry["projectPath"]),
        folder:
          marketplaceFolder === null
            ? asText(entry["installPath"])
            : pathOf(platform).join(marketplaceFolder, "plugin"),
      }));
    });
}

function folderMarketplace(marketplaces: string, name: string): string | null {
  const source = json.valueAt(marketplaces, [name, "source", "source"]);
  return source === "directory" ? asText(json.valueAt(marketplaces, [name, "installLocation"])) : null;
}

function asText(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
