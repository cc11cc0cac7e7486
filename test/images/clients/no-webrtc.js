/** In place of webrtc-polyfill, whose native half is in no npm package: peers that HTTP and UDP trackers know want none. */
export const [RTCPeerConnection, RTCSessionDescription, RTCIceCandidate] = [];
