import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { skipWithout } from '../host/skip-without.ts';

/** Debian's, and whatever else is called so. */
const command = process.env.CHROMIUM ?? 'chromium';

export function skipWithoutBrowser(): boolean {
  return skipWithout(command, 'the page in a browser');
}

const executables = (process.env.PATH ?? '').split(':').map((folder) => join(folder, command));

export async function startBrowser(): Promise<Browser> {
  const executablePath = executables.find((file) => {
    try {
      return readFileSync(file).length > 0;
    } catch {
      return false;
    }
  });
  const browser = await chromium.launch({ ...(executablePath && { executablePath }), args: ['--no-sandbox'] });
  return browser;
}

export interface Look {
  readonly width: number;
  readonly height: number;
  readonly colorScheme: 'light' | 'dark';
}

export const desktop: Look = { width: 1360, height: 860, colorScheme: 'light' };
export const phone: Look = { width: 360, height: 740, colorScheme: 'dark' };

/** A tab whose faults and requests are kept: nothing that the page does may go elsewhere, or fail unnoticed. */
export interface Tab {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the console says, and what is thrown. */
  readonly faults: readonly string[];
  readonly requests: readonly string[];
}

export async function openTab(browser: Browser, { width, height, colorScheme }: Look = desktop): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, acceptDownloads: true });
  const page = await context.newPage();
  const [faults, requests]: [string[], string[]] = [[], []];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
  });
  page.on('request', (request) => requests.push(request.url()));
  return { page, context, faults, requests };
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary: string }[];
}

/** What breaks WCAG 2.2 AA on the page as it is now, and what axe thinks good practice. */
export async function violationsOn(page: Page): Promise<string[]> {
  await page.evaluate(`${axe}; undefined`);
  const script = `axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then(({ violations }) => violations)`;
  const violations: readonly Violation[] = await page.evaluate(script);
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')}: ${failureSummary}`),
  );
}

/** Keeps a picture, where somebody wants to look at them: SCREENSHOTS=<folder>. */
export async function picture(page: Page, name: string): Promise<void> {
  const bytes = await page.screenshot();
  expect(bytes.length).toBeGreaterThan(5000);
  const folder = process.env.SCREENSHOTS;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.png`), bytes);
}

/** Whether the page is wider than the window: then it has to be scrolled sideways. */
export async function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth > innerWidth');
}

export function rowsOf(page: Page) {
  return page.getByRole('table', { name: 'Findings' }).locator('.row');
}
