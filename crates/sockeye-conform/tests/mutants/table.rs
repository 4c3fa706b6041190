//! Which cases must catch which fault.

use sockeye_conform::Verdict;

use crate::fault::Fault::{self, *};
use crate::peer::Role::{self, Client, Server};

/// A fault and the cases that must catch it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) fault: Fault,
    pub(crate) roles: &'static [Role],
    /// A choice as [`sockeye_conform::Suite::select`] reads it.
    pub(crate) cases: &'static str,
    catch: Catch,
}

/// When a fault counts as caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Catch {
    /// Each case ends with a failure.
    EachFails,
    /// Each case ends worse than with the right peer, be it only as NON-STRICT: what the peer does
    /// is allowed, or Autobahn says so.
    EachIsWorse,
    /// One case at least ends with a failure: what the others see hangs on how TCP cuts bytes.
    OneFails,
}

impl Row {
    /// Returns the cases that did not catch the fault, of those that had to.
    pub(crate) fn missed<'a>(&self, verdicts: &[(&'a str, Verdict)]) -> Vec<&'a str> {
        let catches = |verdict: Verdict| match self.catch {
            Catch::EachIsWorse => verdict > Verdict::Informational,
            Catch::EachFails | Catch::OneFails => verdict.is_failure(),
        };
        let missed = verdicts.iter().filter(|(_, verdict)| !catches(*verdict)).map(|(id, _)| *id);
        let missed: Vec<_> = missed.collect();
        let enough = self.catch == Catch::OneFails && missed.len() < verdicts.len();
        if enough { Vec::new() } else { missed }
    }

    const fn worse(mut self) -> Self {
        self.catch = Catch::EachIsWorse;
        self
    }

    const fn one(mut self) -> Self {
        self.catch = Catch::OneFails;
        self
    }
}

/// Returns all rows.
pub(crate) fn table() -> impl Iterator<Item = Row> {
    let groups = [HANDSHAKE, FRAMES, MESSAGES, TEXT, CLOSING, DEFLATE];
    groups.into_iter().flatten().copied()
}

const fn both(fault: Fault, cases: &'static str) -> Row {
    Row { fault, roles: &[Server, Client], cases, catch: Catch::EachFails }
}

const fn server(fault: Fault, cases: &'static str) -> Row {
    Row { fault, roles: &[Server], cases, catch: Catch::EachFails }
}

const fn client(fault: Fault, cases: &'static str) -> Row {
    Row { fault, roles: &[Client], cases, catch: Catch::EachFails }
}

const HANDSHAKE: &[Row] = &[
    server(AcceptWrong, "1.1.1"),
    server(BodySent, "1.1.1"),
    both(ConnectionLeftOut, "1.1.1"),
    server(ExtensionUnoffered, "1.1.1"),
    client(HostLeftOut, "1.1.1"),
    client(KeyAlwaysTheSame, "1.1.1,1.1.2"),
    client(KeyShortSent, "1.1.1"),
    server(StatusWrong, "1.1.1"),
    server(SubprotocolUnoffered, "1.1.1"),
    both(UpgradeLeftOut, "1.1.1"),
    client(VersionWrong, "1.1.1"),
];

const FRAMES: &[Row] = &[
    both(ControlBreaksMessage, "5.6,5.7,5.8,5.19,5.20"),
    both(FragmentedControlAccepted, "5.1,5.2"),
    both(HeaderInOneRead, "2.6,2.11,3.4,4.1.5,4.2.5,5.5,5.8,5.11,5.14").one(),
    both(InterleavedAccepted, "5.18"),
    both(LongControlAccepted, "2.5,7.3.6"),
    both(MaskReversed, "1.1.1,1.2.8,2.1,7.3.3"),
    both(OneFrameARead, "2.10"),
    both(PaddedLengthSent, "1.1.1,1.1.2,1.1.6,2.4"),
    both(ReservedControlAccepted, "4.2.*"),
    both(ReservedDataAccepted, "4.1.*"),
    both(Rsv1Accepted, "3.4"),
    both(Rsv2Accepted, "3.2"),
    both(Rsv3Accepted, "3.1"),
    both(RsvAccepted, "3.*,!3.7"),
    both(StrayContinuationAccepted, "5.9,5.10,5.11,5.17"),
];

const MESSAGES: &[Row] = &[
    both(BinaryEchoedAsText, "1.2.*,9.2.*,9.4.*,9.6.*,9.8.*"),
    both(ClosesAfterEcho, "1.1.2,5.3,9.7.1"),
    both(CrashAbove1MiB, "9.1.4,9.1.5,9.1.6,9.2.4,9.3.1,9.4.9"),
    both(EchoedTwice, "1.1.2,1.2.3,6.1.3,9.8.2"),
    both(EmptyFramesDropped, "6.1.2,6.1.3"),
    both(HangsOnPong, "2.7,2.8,2.9"),
    both(LastByteLost, "1.1.2,1.1.8,1.2.2,5.3,6.2.2,9.1.1,9.3.3,9.6.2,9.8.4,10.1.1"),
    both(MessageLostAt(125), "1.1.2,1.2.2"),
    both(MessageLostAt(126), "1.1.3,1.2.3"),
    both(MessageLostAt(65535), "1.1.6,1.2.6"),
    both(MessageLostAt(65536), "1.1.7,1.2.7"),
    both(PongEmpty, "2.2,2.3,2.4,2.6,2.9,2.10,2.11"),
    both(PongMissing, "2.1,2.2,2.3,2.4,2.6,2.9,2.10,2.11,5.6,5.7,5.8,5.19,5.20"),
    both(PongOnlyToFirst, "2.10,2.11,5.19,5.20"),
    both(PongOther, "2.1,2.2,2.3,2.4"),
    both(PongTruncated, "2.2,2.4,2.6,2.9"),
    both(
        TextEchoedAsBinary,
        "1.1.*,5.3,5.4,5.5,5.6,5.15,5.19,6.1.*,6.2.*,6.5.*,6.6.2,6.6.5,6.6.7,6.6.9,6.6.11,6.7.*,\
         6.9.*,6.11.1,6.11.2,6.11.3,6.11.4,6.22.*,6.23.*,7.1.1,9.1.*,9.3.*,9.5.*,9.7.*,10.1.1",
    ),
    both(WritesCutShort, "1.1.6"),
];

/// Every text of Autobahn's that is not UTF-8.
const BAD_TEXTS: &str = "6.3.*,6.4.*,6.6.1,6.6.3,6.6.4,6.6.6,6.6.8,6.6.10,6.8.*,6.10.*,6.11.5,6.12.*,\
                         6.13.*,6.14.*,6.15.*,6.16.*,6.17.*,6.18.*,6.19.*,6.20.*,6.21.*";

const TEXT: &[Row] = &[
    both(Utf8AstralRefused, "6.5.4,6.7.4,6.9.4,6.11.4,6.22.3"),
    both(Utf8AtFrameEnd, "6.4.3,6.4.4").worse(),
    both(Utf8AtMessageEnd, "6.4.*").worse(),
    both(Utf8BeyondLastAccepted, "6.4.1,6.4.2,6.4.3,6.4.4,6.10.1,6.11.5"),
    both(Utf8CheckedInBinary, "1.2.*,!1.2.1,9.2.*,9.4.1,9.8.2"),
    both(Utf8CutAtEndAccepted, "6.6.1,6.6.3,6.6.4,6.6.6,6.6.8,6.6.10,6.14.6,6.14.7"),
    both(Utf8EachFrameAlone, "6.2.3,6.2.4"),
    both(Utf8FeFfAccepted, "6.16.*"),
    both(Utf8InterruptedAccepted, "6.13.2"),
    both(Utf8LoneContinuationAccepted, "6.12.*"),
    both(Utf8LongFormsAccepted, "6.8.*,6.10.2,6.10.3,6.17.4,6.17.5,6.18.4,6.18.5,6.19.4,6.19.5"),
    both(Utf8NonCharactersRefused, "6.22.*,6.23.6,6.23.7"),
    both(Utf8OverlongAccepted, "6.17.1,6.17.2,6.17.3,6.18.1,6.18.2,6.18.3,6.19.1,6.19.2,6.19.3"),
    both(Utf8SpecialsRefused, "6.23.*"),
    both(Utf8SurrogatesAccepted, "6.3.*,6.20.*,6.21.*"),
    both(Utf8Unchecked, BAD_TEXTS),
    both(WrongCodeForText, BAD_TEXTS),
];

/// Autobahn's cases in which the peer must fail the connection with 1002.
const PROTOCOL_ERRORS: &str = "2.5,3.*,4.*,5.1,5.2,5.9,5.10,5.11,5.12,5.13,5.14,5.15,5.16,5.17,5.18,\
                               7.3.2,7.3.6,7.9.*";

const CLOSING: &[Row] = &[
    both(BadCloseReasonAccepted, "7.5.1"),
    both(CloseAnsweredWith(1005), "7.1.1,7.3.1,7.3.3,7.7.1,7.7.13"),
    both(CloseAnsweredWith(3333), "1.1.1,2.7,7.1.*,7.3.3,7.3.4,7.3.5,7.7.*"),
    both(CloseCodeAccepted(0), "7.9.1"),
    both(CloseCodeAccepted(999), "7.9.2"),
    both(CloseCodeAccepted(1004), "7.9.3"),
    both(CloseCodeAccepted(1005), "7.9.4"),
    both(CloseCodeAccepted(1006), "7.9.5"),
    both(CloseCodeAccepted(1016), "7.9.6"),
    both(CloseCodeAccepted(1100), "7.9.7"),
    both(CloseCodeAccepted(2000), "7.9.8"),
    both(CloseCodeAccepted(2999), "7.9.9"),
    both(CloseCodeRefused(1001), "7.7.2"),
    both(CloseCodeRefused(1011), "7.7.9"),
    both(CloseCodeRefused(3000), "7.7.10"),
    both(CloseCodeRefused(4999), "7.7.13"),
    both(CloseUnanswered, "7.1.*,7.3.1,7.3.3,7.3.4,7.3.5,7.7.*"),
    both(DropsOnClose, "7.1.1,7.3.1,7.3.3,7.7.3"),
    both(EchoesAfterClose, "7.1.3,7.1.4"),
    both(FailureHangs, PROTOCOL_ERRORS),
    both(LongCloseReasonRefused, "7.3.5"),
    both(OneByteCloseAccepted, "7.3.2"),
    server(TcpKeptOpen, "1.1.1,7.1.1,7.3.1,7.3.3,7.7.*"),
    both(WrongCodeForProtocol, PROTOCOL_ERRORS),
    both(WrongCodeForText, "7.5.1"),
];

const DEFLATE: &[Row] = &[
    both(DeflateContextForgotten, "12.1.5,12.2.5,12.4.5,13.1.5"),
    both(DeflateContextKept, "13.2.3,13.2.5,13.5.4,13.6.4,13.7.5"),
    both(DeflateCorruptSent, "12.1.5,13.3.2"),
    both(DeflateLastBytesLost, "12.1.5,12.5.7"),
    both(DeflateNeverUsed, "12.1.5"),
    both(DeflateRsv1Missing, "12.*,13.*"),
    both(DeflateRsv1OnContinuation, "12.1.5"),
    both(DeflateWindowTooLarge, "13.3.7,13.5.7"),
    server(PmdAnswerUnoffered, "12.1.1"),
];
