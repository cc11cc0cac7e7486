/**
 * What clients were heard to send: over HTTPS all but the Host header, over UDP what follows the transaction's number
 * (BEP 15), in hex. Some append to it: the URL's path (BEP 41), or two zeros. Those that take br take zstd too, which
 * Node.js 20 cannot read.
 */
export interface Recording {
  readonly client: string;
  readonly http: "1.1" | "2";
  readonly headers: Readonly<Record<string, string>>;
  /** Path and query, to the byte. */
  readonly paths: readonly string[];
  readonly announces: readonly string[];
  readonly scrapes?: readonly string[];
}

export const recordings: readonly Recording[] = [
  {
    client: "aria2 1.36.0",
    http: "1.1",
    headers: {
      "User-Agent": "aria2/1.36.0",
      Accept: "*/*",
      "Want-Digest": "SHA-512;q=1, SHA-256;q=1, SHA;q=0.1",
    },
    paths: [
      "/announce?info_hash=h%9B%E9%1B%97F%EF%BB%99%CF%9A%BF%C5%98%C1%2C%3C%5C%E1%EA&peer_id=A2-1-36-0-%92k%D8%5C%D8iD%01%08%B3&uploaded=0&downloaded=0&left=40000&compact=1&key=%D8%5C%D8iD%01%08%B3&numwant=50&no_peer_id=1&port=6891&event=started&supportcrypto=1",
      "/announce?info_hash=h%9B%E9%1B%97F%EF%BB%99%CF%9A%BF%C5%98%C1%2C%3C%5C%E1%EA&peer_id=A2-1-36-0-%92k%D8%5C%D8iD%01%08%B3&uploaded=0&downloaded=40000&left=0&compact=1&key=%D8%5C%D8iD%01%08%B3&numwant=50&no_peer_id=1&port=6891&event=completed&supportcrypto=1",
    ],
    announces: [
      "4a9d5693477ac7bed821d46f40d8f273b6e615d541322d312d33362d302d926bd85cd869440108b300000000000000000000000000009c40000000000000000000000002000000004c666bac000000321aeb0000",
      "4a9d5693477ac7bed821d46f40d8f273b6e615d541322d312d33362d302d926bd85cd869440108b30000000000009c4000000000000000000000000000000000000000010000000015b90822000000321aeb0000",
    ],
  },
  {
    client: "Transmission 3.00",
    http: "2",
    headers: {
      "user-agent": "Transmission/3.00",
      accept: "*/*",
      "accept-encoding": "deflate, gzip, br",
    },
    paths: [
      "/announce?info_hash=%cf%c1J%bc6%f0C%b9%40%2a%ff4S%16%fa%608%de%f7%fb&peer_id=-TR3000-dz34emt3x50j&port=51413&uploaded=0&downloaded=0&left=40000&numwant=80&key=28f0f9f5&compact=1&supportcrypto=1&event=started",
      "/scrape?info_hash=%cf%c1J%bc6%f0C%b9%40%2a%ff4S%16%fa%608%de%f7%fb",
      "/announce?info_hash=%cf%c1J%bc6%f0C%b9%40%2a%ff4S%16%fa%608%de%f7%fb&peer_id=-TR3000-dz34emt3x50j&port=51413&uploaded=0&downloaded=40000&left=0&numwant=80&key=28f0f9f5&compact=1&supportcrypto=1&event=completed",
    ],
    announces: [
      "cd31b431774e6d702389c631bff367cd4b5b98702d5452333030302d35697661707837687063626d00000000000000000000000000009c400000000000000000000000020000000028f0f9f500000050c8d5",
      "cd31b431774e6d702389c631bff367cd4b5b98702d5452333030302d35697661707837687063626d0000000000009c4000000000000000000000000000000000000000010000000028f0f9f500000050c8d5",
      "cd31b431774e6d702389c631bff367cd4b5b98702d5452333030302d35697661707837687063626d0000000000009c4000000000000000000000000000000000000000030000000028f0f9f500000000c8d5",
    ],
    scrapes: ["cd31b431774e6d702389c631bff367cd4b5b9870"],
  },
  {
    client: "rtorrent 0.9.8",
    http: "2",
    headers: {
      "user-agent": "rtorrent/0.9.8/0.13.8",
      accept: "*/*",
      "accept-encoding": "deflate, gzip, br",
    },
    paths: [
      "/announce?info_hash=z6%9D%2EV%A3%A9x%2B%294%28%8Cv%F0M%FF%28%B5%F2&peer_id=-lt0D80-n%7F%C9%7BD%CC%84fae%C8%9C&key=4e784c82&compact=1&port=51413&uploaded=0&downloaded=0&left=40000&event=started",
      "/announce?info_hash=I%EB%DE%85%85%E6%5DU%B2%0D%BFm%83srB%89%8F%21%14&peer_id=-lt0D80-M%5B%E7%E8%F7%BD%F1%A3%5C%C6%1B%9F&key=6538f185&compact=1&port=51413&uploaded=0&downloaded=40000&left=0&event=stopped",
    ],
    announces: [
      "93d10425b828b429a44ce60f02159766dd54447e2d6c74304438302de963e995d2741f07a088732d00000000000000000000000000009c400000000000000000000000020000000067d56a29ffffffffc8d5",
    ],
  },
  {
    client: "qBittorrent 4.5.2",
    http: "1.1",
    headers: { "User-Agent": "qBittorrent/4.5.2", "Accept-Encoding": "gzip", Connection: "close" },
    paths: [
      "/announce?info_hash=%d4%f2%cd%08%b1o%f2%84G1v%8aN%f0%ee%0f%1ez%f6%c1&peer_id=-qB4520-4b1nNDOqOToX&port=46263&uploaded=0&downloaded=0&left=40000&corrupt=0&key=FA5344BF&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
      "/announce?info_hash=%d4%f2%cd%08%b1o%f2%84G1v%8aN%f0%ee%0f%1ez%f6%c1&peer_id=-qB4520-4b1nNDOqOToX&port=46263&uploaded=0&downloaded=40000&left=0&corrupt=0&key=FA5344BF&event=completed&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
      "/announce?info_hash=%d4%f2%cd%08%b1o%f2%84G1v%8aN%f0%ee%0f%1ez%f6%c1&peer_id=-qB4520-4b1nNDOqOToX&port=46263&uploaded=0&downloaded=40000&left=0&corrupt=0&key=FA5344BF&event=stopped&numwant=0&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
    ],
    announces: [
      "0a35e6d53a4294b8594983d5fa83346c3aff59e72d7142343532302d764b644a5737716a796f307a00000000000000000000000000009c4000000000000000000000000200000000b1549ce8000000c8b4b702092f616e6e6f756e6365",
      "0a35e6d53a4294b8594983d5fa83346c3aff59e72d7142343532302d764b644a5737716a796f307a0000000000009c40000000000000000000000000000000000000000100000000b1549ce8000000c8b4b702092f616e6e6f756e6365",
      "0a35e6d53a4294b8594983d5fa83346c3aff59e72d7142343532302d764b644a5737716a796f307a0000000000009c40000000000000000000000000000000000000000300000000b1549ce800000000b4b702092f616e6e6f756e6365",
    ],
  },
  {
    client: "libtorrent 2.1.1",
    http: "1.1",
    headers: { "User-Agent": "libtorrent/2.1.1.0", "Accept-Encoding": "gzip", Connection: "close" },
    paths: [
      "/announce?info_hash=%99%98%c3o%81%8e%1d%92%bd%c9%d6%1f%f0%260%dfsq%92%24&peer_id=-LT2110-*W1gZ2xkITjs&port=6881&uploaded=0&downloaded=0&left=40000&corrupt=0&key=4A318F3C&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
      "/announce?info_hash=%99%98%c3o%81%8e%1d%92%bd%c9%d6%1f%f0%260%dfsq%92%24&peer_id=-LT2110-*W1gZ2xkITjs&port=6881&uploaded=0&downloaded=40000&left=0&corrupt=0&key=4A318F3C&event=completed&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
    ],
    announces: [
      "4d86e3758f45355955258a1ffd39a6cd35c121d82d4c54323131302d6b6f2d7e476d4661757e434600000000000000000000000000009c4000000000000000000000000200000000ec8e0469000000c81ae102092f616e6e6f756e6365",
      "4d86e3758f45355955258a1ffd39a6cd35c121d82d4c54323131302d6b6f2d7e476d4661757e43460000000000009c40000000000000000000000000000000000000000100000000ec8e0469000000c81ae102092f616e6e6f756e6365",
    ],
  },
  {
    client: "webtorrent 2.8.5",
    http: "1.1",
    headers: {
      connection: "keep-alive",
      "user-agent": "WebTorrent/2.8.5 (https://webtorrent.io)",
      accept: "*/*",
      "accept-language": "*",
      "sec-fetch-mode": "cors",
      "accept-encoding": "br, gzip, deflate",
    },
    paths: [
      "/announce?numwant=50&uploaded=0&downloaded=0&left=40000&event=started&compact=1&info_hash=j%26%17%FA%AA%0D%82W%22%EC%21%90%1CB%88%F1L%2C%9E%8E&peer_id=-WW0208-yI4uF0BmgV5Q&port=44557",
      "/announce?numwant=50&uploaded=533&downloaded=40000&left=0&event=completed&compact=1&info_hash=%E4%FC0%C2%07%B7%04nk%C6%BA%5C%C8%8B%AA%C28%AC%B8%1E&peer_id=-WW0208-yI4uF0BmgV5Q&port=44557",
    ],
    announces: [
      "394c91e48329efd0a6ce218c6e28997cf62c2ec82d5757303230382d794934754630426d6756355100000000000000000000000000009c40000000000000000000000002000000000000000000000032ae0d",
      "394c91e48329efd0a6ce218c6e28997cf62c2ec82d5757303230382d794934754630426d675635510000000000009c400000000000000000000000000000021500000001000000000000000000000032ae0d",
    ],
  },
];
