import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { FunctionDefinition, SourceFunction } from '../function/definitions.ts';

/** The folder is the list: each file is one function and has its name. The bundle's build replaces this module. */
const folder = join(import.meta.dirname, '..', '..', 'functions');

export function functionNames(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => basename(file, '.ts'))
    .sort();
}

/** Loads one function's file, and none of the others. */
export async function loadFunction(name: string): Promise<FunctionDefinition> {
  const module: { readonly default: FunctionDefinition } = await import(`../../functions/${name}.ts`);
  return module.default;
}

export function loadFunctions(): Promise<FunctionDefinition[]> {
  return Promise.all(functionNames().map(loadFunction));
}

export function isSource(definition: FunctionDefinition): definition is SourceFunction {
  return definition.kind === 'source';
}
