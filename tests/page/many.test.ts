import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmbeddedStore, databaseFile } from '../../shared/local/embedded-store.ts';
import { memoryOf, type Program, startProgram, temporaryFolder, until, within } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import { openTab, picture, rowsOf, skipWithoutBrowser, startBrowser } from './browser.ts';

const count = 100_000;
const severities = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNKNOWN'] as const;
const signal = AbortSignal.timeout(600_000);

/** How many are made one by one; the others are copies with other names, rules and workloads. */
const distinct = 4000;

/** Copies every row so many times: a hundred thousand writes would take minutes. */
function multiply(file: string, times: number): void {
  const database = new DatabaseSync(file);
  database.exec(`
    PRAGMA synchronous = OFF;
    WITH RECURSIVE copies(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM copies WHERE i < ${times})
    INSERT INTO observations (place, name, uid, version, created_at, source, severity, expires_at, labels, object)
    SELECT place, name || '-' || i, uid || i, 1, created_at - i, source, severity, expires_at, labels,
      json_set(object, '$.metadata.name', name || '-' || i, '$.spec.resource.name', 'web-' || (rowid % 700) || '-' || i,
        '$.spec.summary', json_extract(object, '$.spec.summary') || ' ' || i)
    FROM observations, copies;`);
  database.close();
}

/** Of a source that no function has, so that no pass looks at them. */
function one(at: number) {
  const namespace = `team-${at % 40}`;
  return anObservation({
    metadata: { name: `posture-${at.toString(16).padStart(32, '0')}`, namespace },
    spec: {
      source: at % 3 ? 'posture' : 'scanner',
      severity: severities[(at * 7) % 11] ?? 'LOW',
      rule: `CVE-2026-${at % 3000}`,
      summary: `CVE-2026-${at % 3000} in openssl 3.0.${at % 9}, fixed in 3.0.15 (container web-${at % 700})`,
      resource: { apiVersion: 'apps/v1', kind: 'Deployment', namespace, name: `web-${at % 700}` },
      remediation: `upgrade openssl to 3.0.${15 + (at % 4)}`,
      details: { image: `registry.example/web-${at % 200}`, text: 'x'.repeat(300) },
    },
  });
}

describe.skipIf(skipWithoutBrowser())(`the page, with ${count} findings`, { timeout: 240_000 }, () => {
  let program: Program;
  let browser: Browser;

  beforeAll(async () => {
    const data = temporaryFolder();
    const store = createEmbeddedStore({ data, now: Date.now });
    await Promise.all(Array.from({ length: distinct }, (_, at) => store.create(one(at), signal)));
    store.close();
    multiply(join(data, databaseFile), count / distinct - 1);
    // Else gc would begin by deleting a fifth.
    const environment = { MAX_OBSERVATIONS: '1000000' };
    program = await startProgram({ args: ['--port', '0', '--data', data], environment });
    browser = await startBrowser();
  }, 240_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
  });

  it('paints, filters, searches and scrolls in time, and shows what changes', async () => {
    const { page, faults } = await openTab(browser);
    await page.goto(program.url);
    const entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0";
    await expect.poll(async () => Number(await page.evaluate(entry))).toBeGreaterThan(0);
    const paint = Number(await page.evaluate(entry));
    console.log(`first paint: ${(paint / 1000).toFixed(2)} s (promised: 1 s)`);
    expect(paint).toBeLessThan(5000);
    await rowsOf(page).first().waitFor();
    await until('all to be read', async () => (await page.locator('.heading h2').innerText()).startsWith('100,000'));
    const total = () => page.locator('.heading h2').innerText();
    await page.getByRole('region', { name: 'Severity' }).getByRole('link', { name: 'CRITICAL' }).click();
    await within('a filter shows', 0.1, async () => !(await total()).startsWith('100,000') || undefined);
    await page.getByLabel('Search in findings').fill('openssl 3.0.7');
    const before = await total();
    await within('a search shows', 0.1, async () => (await total()) !== before || undefined);
    await page.goto(`${program.url}/?sort=namespace`);
    await rowsOf(page).first().waitFor();
    await page.evaluate('scrollTo(0, document.body.scrollHeight)');
    await within(
      'the last rows show',
      1,
      async () => (await rowsOf(page).last().innerText()).includes('team-9') || undefined,
    );
    expect(await rowsOf(page).count()).toBeLessThan(100);
    expect(await rowsOf(page).last().getAttribute('aria-rowindex')).toBe(String(count + 1));
    await picture(page, 'many');
    const body = JSON.stringify({ rule: 'Among many', priority: 'Critical', hostname: 'node-1' });
    await page.goto(`${program.url}/?search=among+many`);
    await page.getByText('Live', { exact: true }).waitFor();
    const headers = { 'content-type': 'application/json' };
    await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body });
    await within('a change is visible', 1, async () => (await rowsOf(page).count()) === 1 || undefined);
    expect(faults).toEqual([]);
  });

  it('takes bounded memory, of the server and of the tab', async () => {
    const { page, context } = await openTab(browser);
    await page.goto(program.url);
    await rowsOf(page).first().waitFor();
    for (let at = 0; at <= 20; at += 1) {
      await page.evaluate(`scrollTo(0, document.body.scrollHeight * ${at / 20})`);
      await until('rows', async () => !(await rowsOf(page).first().innerText()).includes('…'));
    }
    const session = await context.newCDPSession(page);
    await session.send('Performance.enable');
    const { metrics } = await session.send('Performance.getMetrics');
    const heap = (metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? Number.NaN) / 2 ** 20;
    const { now, peak } = memoryOf(program.pid);
    console.log(
      `the server: ${now.toFixed()} MiB, at its peak ${peak.toFixed()}; the tab's heap: ${heap.toFixed()} MiB`,
    );
    expect(heap).toBeLessThan(100);
    expect(now).toBeLessThan(600);
  });
});
