import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmbeddedStore } from '../../shared/local/embedded-store.ts';
import { freePort } from '../cluster/cluster.ts';
import { type Program, startProgram, temporaryFolder, until } from '../host/program.ts';
import { anObservation } from '../view/an-observation.ts';
import {
  desktop,
  isTooWide,
  openTab,
  phone,
  picture,
  rowsOf,
  skipWithoutBrowser,
  startBrowser,
  violationsOn,
} from './browser.ts';

const signal = AbortSignal.timeout(600_000);
const markup = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
const bidi = 'safe\u202etxt.exe\u2066\u200b';
const long = 'n'.repeat(8192);

/** Texts that a tool, or whoever can make it report something, may choose. */
const hostile = [
  anObservation({
    metadata: { name: 'markup', labels: { 'zen.kube-zen.io/state': markup } },
    spec: {
      source: markup,
      rule: markup,
      summary: markup,
      remediation: `${markup}\n</script><!--`,
      references: ['javascript:window.broken=1', 'https://example.com/"onmouseover="window.broken=1', markup],
      resource: { kind: markup, name: markup, namespace: markup },
      actor: { username: markup, groups: [markup], userAgent: markup },
      details: { [markup]: markup, nested: { __proto__: { a: markup }, list: [markup, [markup]] }, image: markup },
    },
  }),
  anObservation({
    metadata: { name: 'bidi' },
    spec: { source: 'posture', rule: bidi, summary: bidi, remediation: bidi, details: { [bidi]: bidi } },
  }),
  anObservation({
    metadata: { name: 'long' },
    spec: {
      source: 'posture',
      rule: long,
      summary: long,
      resource: { kind: long, name: long, namespace: 'shop' },
      actor: { username: long },
      references: [`https://example.com/${long}`],
      details: { [long]: long, image: long },
    },
  }),
  anObservation({
    metadata: { name: 'odd', annotations: { 'zen.kube-zen.io/history': '{"not":"a list"' } },
    spec: { source: 'posture', summary: '', details: { none: null, number: 1, yes: true }, detectedAt: 'yesterday' },
  }),
];

describe.skipIf(skipWithoutBrowser())('the page, with hostile texts', { timeout: 120_000 }, () => {
  let program: Program;
  let browser: Browser;
  let data: string;
  let port: number;

  const start = () => startProgram({ args: ['--port', String(port), '--data', data] });

  beforeAll(async () => {
    data = temporaryFolder();
    port = await freePort();
    const store = createEmbeddedStore({ data, now: Date.now });
    for (const object of hostile) await store.create(object, signal);
    store.close();
    program = await start();
    browser = await startBrowser();
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await program.stop();
  });

  it.each(['markup', 'bidi', 'long', 'odd'])('shows each as text, and nothing else happens: %s', async (name) => {
    for (const look of [desktop, phone]) {
      const { page, faults, requests, context } = await openTab(browser, look);
      await page.goto(`${program.url}/?view=all&finding=shop/${name}`);
      const finding = page.getByRole('complementary', { name: 'One finding' });
      await finding.getByRole('heading', { name: 'Details' }).waitFor();
      await finding.getByText('YAML', { exact: true }).click();
      await finding.getByText('Accept', { exact: true }).click();
      expect(await page.evaluate('window.broken')).toBeUndefined();
      expect(await page.locator('#page img, #page script, [onmouseover], a[href^="javascript"]').count()).toBe(0);
      expect(await page.evaluate('document.body.innerText')).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b]/);
      expect(await isTooWide(page)).toBe(false);
      expect(await violationsOn(page)).toEqual([]);
      expect(requests.filter((url) => !url.startsWith(program.url) && !url.startsWith('data:'))).toEqual([]);
      expect(faults).toEqual([]);
      await picture(page, `hostile-${name}-${look.width}`);
      await context.close();
    }
  });

  it('shows escapes by their codes, and markup as it is written', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${program.url}/?view=all`);
    await rowsOf(page).first().waitFor();
    await page.getByText('safe\\u{202e}txt.exe\\u{2066}\\u{200b}').first().waitFor();
    await page.getByText(markup).first().waitFor();
    await page.getByRole('region', { name: 'Rule' }).getByRole('link', { name: /^<img/ }).click();
    await expect.poll(() => rowsOf(page).count()).toBe(1);
  });

  it('says so when the server is gone, shows what it read last, and goes on when the server is back', async () => {
    const { page } = await openTab(browser);
    await page.goto(`${program.url}/?view=all`);
    await page.getByText('Live', { exact: true }).waitFor();
    await expect.poll(() => rowsOf(page).count()).toBe(hostile.length);
    await program.kill();
    await page.getByText('Not connected').waitFor();
    await page.getByRole('alert').getByText('this is what was read last').waitFor();
    expect(await rowsOf(page).count()).toBe(hostile.length);
    await picture(page, 'gone');
    program = await start();
    await page.getByText('Live', { exact: true }).waitFor();
    await until('the notice to go', async () => (await page.getByRole('alert').count()) === 0);
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ rule: 'Back again', priority: 'Critical', hostname: 'node-1' });
    await fetch(`${program.url}/falco/webhook`, { method: 'POST', headers, body });
    await page.getByText('Back again').first().waitFor();
  });
});
