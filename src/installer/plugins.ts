import { isRecord, textAt, type JsonObject } from "../shared/json-fields.ts";
import { objectAt, valueAt } from "./settings.ts";
import { pathOf } from "./targets.ts";

const isOurs = (key: string): boolean => key.startsWith("shim@");

export function enabledPlugins(settings: JsonObject): string[] {
  const switches = objectAt(settings, ["enabledPlugins"]);
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
  installed: JsonObject,
  marketplaces: JsonObject,
  platform: NodeJS.Platform,
): InstalledPlugin[] {
  return Object.entries(objectAt(installed, ["plugins"]))
    .filter(([key]) => isOurs(key))
    .flatMap(([key, listed]) => {
      const marketplaceFolder = folderMarketplace(marketplaces, key.slice(key.indexOf("@") + 1));
      const entries: unknown[] = Array.isArray(listed) ? listed : [];
      return entries.filter(isRecord).map((entry) => ({
        key,
        scope: textAt(entry, "scope") ?? "user",
        project: textAt(entry, "projectPath"),
        folder:
          marketplaceFolder === null
            ? textAt(entry, "installPath")
            : pathOf(platform).join(marketplaceFolder, "plugin"),
      }));
    });
}

function folderMarketplace(marketplaces: JsonObject, name: string): string | null {
  const isFolder = valueAt(marketplaces, [name, "source", "source"]) === "directory";
  return isFolder ? textAt(objectAt(marketplaces, [name]), "installLocation") : null;
}
