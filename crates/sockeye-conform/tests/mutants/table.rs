//! Which cases must catch which fault.

use std::sync::Arc;

use sockeye_conform::{Case, Suite, Verdict};

use crate::fault::Fault::{self, *};
use crate::peer::Role::{self, Client, Server};

/// A fault and the cases that must catch it, in the form that [`sockeye_conform::Suite::select`]
/// reads; empty for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) fault: Fault,
    pub(crate) roles: &'static [Role],
    /// Those that must end with a failure.
    fail: &'static str,
    /// Those that must end worse than with a right peer, be it only as NON-STRICT: what the peer
    /// does is allowed, or common, or Autobahn takes it.
    worse: &'static str,
    /// What carries the bytes between the tester and the peer.
    pub(crate) by: Carrier,
}

/// What carries bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A loop of this test, which makes each write one read: TCP joins and cuts writes as it likes,
    /// and a busy machine lets what one end sends cross with what the other does.
    Memory,
    /// For faults in how a connection is made, used and ended, and in what takes time.
    Tcp,
}

impl Row {
    /// Returns all cases that catch the fault.
    pub(crate) fn cases(&self, suite: &Suite) -> Vec<Arc<Case>> {
        [self.fail, self.worse].into_iter().flat_map(|ids| select(suite, ids)).collect()
    }

    /// Returns the cases that did not catch the fault, of those that had to.
    pub(crate) fn missed(&self, suite: &Suite, verdicts: &[(&str, Verdict)]) -> Vec<String> {
        let verdict = |case: &Case| verdicts.iter().find(|(id, _)| *id == case.id());
        let missed = |ids, catches: fn(Verdict) -> bool| {
            let cases = select(suite, ids).into_iter();
            let missed = cases.filter_map(move |case| verdict(&case).copied());
            let missed = missed.filter(move |(_, verdict)| !catches(*verdict));
            missed.map(|(id, _)| id.to_owned()).collect::<Vec<_>>()
        };
        let mut all = missed(self.fail, Verdict::is_failure);
        all.extend(missed(self.worse, |verdict| verdict > Verdict::Informational));
        all
    }

    const fn by_tcp(mut self) -> Self {
        self.by = Carrier::Tcp;
        self
    }

    const fn worse(mut self, cases: &'static str) -> Self {
        self.worse = cases;
        self
    }
}

fn select(suite: &Suite, ids: &str) -> Vec<Arc<Case>> {
    if ids.is_empty() { Vec::new() } else { suite.select(ids).unwrap() }
}

/// Returns all rows.
pub(crate) fn table() -> impl Iterator<Item = Row> {
    let groups = [HANDSHAKE, FRAMES, MESSAGES, TEXT, CLOSING, DEFLATE];
    groups.into_iter().flatten().copied()
}

const fn both(fault: Fault, fail: &'static str) -> Row {
    Row { fault, roles: &[Server, Client], fail, worse: "", by: Carrier::Memory }
}

const fn server(fault: Fault, fail: &'static str) -> Row {
    Row { roles: &[Server], ..both(fault, fail) }
}

const fn client(fault: Fault, fail: &'static str) -> Row {
    Row { roles: &[Client], ..both(fault, fail) }
}

const HANDSHAKE: &[Row] = &[
    client(
        AcceptUnchecked,
        "HSC-001.5,HSC-001.6,HSC-001.7,HSC-001.8,HSC-001.9,HSC-001.10,HSC-001.11",
    ),
    server(AcceptWrong, "1.1.1,HSS-001,HSS-018"),
    server(BareLfAccepted, "").worse("HSS-030.*"),
    server(BodySent, "1.1.1"),
    both(
        BodyUnchecked,
        "HSS-026.2,HSS-026.3,HSS-027.1,HSS-027.2,HSS-027.3,HSS-027.4,HSS-027.5,HSS-027.8",
    )
    .worse("HSS-024,HSS-025,HSS-026.1,HSS-026.4,HSS-027.6,HSS-027.7,HSC-008.*"),
    both(ConnectionLeftOut, "1.1.1"),
    both(ConnectionUnchecked, "HSS-011.*,HSS-013.*,HSC-005.4,HSC-005.5,HSC-005.6"),
    both(ControlBytesAccepted, "").worse("HSS-031.1,HSS-031.2,HSS-031.3,HSS-031.4,HSC-020.9"),
    client(EarlyResponsesUnbounded, "").worse("HSC-007.5"),
    client(EarlyResponseRefused, "").worse("HSC-007.1,HSC-007.2,HSC-007.3,HSC-007.4"),
    server(ExtensionSyntaxUnchecked, "HSS-063.*").worse("HSS-062"),
    server(ExtensionUnoffered, "1.1.1,HSS-064.*,HSS-070"),
    client(ExtensionSyntaxUnchecked, "HSC-013.5"),
    client(ExtensionUnofferedTaken, "HSC-012.1,HSC-012.4"),
    both(FirstFramesLost, "HSS-044,HSC-009.*,HSC-031.1,HSS-045"),
    both(FoldedLineAccepted, "").worse("HSS-032,HSC-020.10"),
    both(HeadDeadlineMissing, "").worse("HSS-041,HSS-042,HSC-017,HSC-018").by_tcp(),
    both(HeadUnbounded, "")
        .worse("HSS-035.2,HSS-036,HSS-037.2,HSS-038.2,HSS-039,HSC-016.1,HSC-016.2"),
    client(HostLeftOut, "1.1.1"),
    server(HostMissingAccepted, "HSS-005"),
    server(HostTwiceAccepted, "HSS-006.1"),
    server(HostUnchecked, "HSS-006.2,HSS-006.3,HSS-006.4").worse("HSS-006.6"),
    server(HttpVersionUnchecked, "HSS-003,HSS-004.2").worse("HSS-004.1"),
    client(KeyAlwaysTheSame, "1.1.1,1.1.2").by_tcp(),
    server(KeyMissingAccepted, "HSS-014.*"),
    client(KeyShortSent, "1.1.1").by_tcp(),
    server(KeyTwiceAccepted, "HSS-017.*"),
    server(KeyUnchecked, "HSS-014.2").worse("HSS-015.*,HSS-016.*"),
    server(MethodUnchecked, "HSS-002.*"),
    client(RedirectTaken, "HSC-003.*"),
    server(RefusalKeepsTcpOpen, "")
        .worse("HSS-002.1,HSS-005,HSS-023.1,HSS-024,HSS-046,HSS-047,HSS-086")
        .by_tcp(),
    server(RefusalsAnswerTwice, "").worse("HSS-046").by_tcp(),
    server(RefusesInSilence, "").worse(REFUSALS).by_tcp(),
    both(SpaceBeforeColonAccepted, "HSS-033.1").worse("HSC-020.7"),
    client(StatusLineUnchecked, "HSC-006.6,HSC-006.7").worse("HSC-006.1,HSC-006.4"),
    client(StatusUnchecked, "HSC-002.11"),
    server(StatusWrong, UPGRADES),
    server(SubprotocolSyntaxUnchecked, "").worse("HSS-060,HSS-061.*"),
    server(SubprotocolUnoffered, "1.1.1,HSS-058.*"),
    client(SubprotocolUnofferedTaken, "HSC-010.1,HSC-010.2,HSC-010.3").worse("HSC-010.4"),
    server(TargetUnchecked, "").worse("HSS-050.1,HSS-050.2,HSS-050.3,HSS-050.7,HSS-052.*"),
    client(
        TakesAnything,
        "HSC-002.*,!HSC-002.12,HSC-014.7,HSC-020.1,HSC-020.2,HSC-020.3,HSC-020.4,HSC-020.5",
    )
    .worse("HSC-002.12,HSC-006.*,HSC-019.*,HSC-020.*"),
    both(UpgradeLeftOut, "1.1.1"),
    both(UpgradeUnchecked, "HSS-007,HSS-008,HSS-010.5,HSC-005.1,HSC-005.2,HSC-005.3"),
    server(VersionRefusedAs400, "").worse("HSS-019,HSS-020.*,HSS-021.*"),
    server(VersionUnchecked, "HSS-019,HSS-020.1,HSS-020.2,HSS-020.3,HSS-021.*,HSS-022")
        .worse("HSS-020.4,HSS-020.5"),
    client(VersionWrong, "1.1.1"),
];

/// Requests that a right server refuses.
const REFUSALS: &str = "HSS-002.*,HSS-003,HSS-004.*,HSS-005,HSS-006.*,HSS-007,HSS-008,HSS-010.4,HSS-010.5,\
                        HSS-011.*,HSS-013.*,HSS-014.*,HSS-015.*,HSS-016.*,HSS-017.*,HSS-019,HSS-020.*,HSS-021.*,\
                        HSS-022,HSS-023.*,HSS-024,HSS-025,HSS-026.*,HSS-027.*,HSS-030.*,HSS-031.*,HSS-032,\
                        HSS-033.*,HSS-034.3,HSS-035.2,HSS-036,HSS-037.2,HSS-038.2,HSS-039,HSS-041,HSS-046,\
                        HSS-047,HSS-050.*,HSS-052.*,HSS-060,HSS-061.*,HSS-062,HSS-063.*,HSS-079,HSS-080,\
                        HSS-081,HSS-086,DFL-001.16";

/// Requests that a right server takes.
const UPGRADES: &str = "1.1.1,HSS-001,HSS-010.1,HSS-010.2,HSS-010.3,HSS-012.1,HSS-012.2,HSS-040,HSS-044,HSS-045,\
                        HSS-064.*,HSS-070,HSS-084,DFL-003.*";

const FRAMES: &[Row] = &[
    both(
        ControlBreaksMessage,
        "5.6,5.7,5.8,5.19,5.20,FRM-024.1,FRM-024.2,FRM-024.3,UTF-005.4,DFL-011.10",
    ),
    both(FloodsBorne, "").worse("FRM-026.3,FRM-027.2"),
    both(FragmentedControlAccepted, "5.1,5.2,FRM-009.1,FRM-009.2,FRM-009.3,FRM-009.5")
        .worse("FRM-009.4"),
    both(FramesUnbounded, "").worse("FRM-019.1,FRM-020"),
    both(HeaderInOneRead, "2.11,5.8,CLS-011.2,CLS-011.3,FRM-031.*,UTF-005.5,UTF-005.6"),
    both(InterleavedAccepted, "5.18,FRM-008.*"),
    both(LengthTopBitAccepted, "FRM-013.*"),
    both(LengthUnbounded, "").worse("FRM-014.*,LIM-015.1,LIM-015.2"),
    both(
        LongControlAccepted,
        "2.5,7.3.6,FRM-010.1,FRM-010.2,FRM-010.3,FRM-010.4,CLS-006.2,CLS-006.3",
    )
    .worse("FRM-010.5,FRM-010.6"),
    both(MaskReversed, "1.1.1,1.2.8,2.1,7.3.3"),
    both(
        MaskUnchecked,
        "FRM-001.1,FRM-001.2,FRM-001.3,FRM-001.4,FRM-001.5,FRM-001.6,FRM-001.9,FRM-002.*",
    )
    .worse("FRM-001.7,FRM-001.8"),
    both(OneFrameARead, "2.10,FRM-031.1,FRM-031.2"),
    both(PaddedLengthAccepted, "").worse("FRM-012.*"),
    both(PaddedLengthSent, "1.1.1,1.1.2,1.1.6,2.4,FRM-035"),
    both(ReservedControlAccepted, "4.2.*,FRM-006.5,FRM-006.7,FRM-006.10"),
    both(ReservedDataAccepted, "4.1.*,FRM-006.1,FRM-006.3,FRM-006.9,FRM-045.2"),
    both(Rsv1Accepted, "3.4,FRM-003.1,FRM-003.2,FRM-003.3,FRM-003.4").worse("FRM-003.5"),
    both(Rsv2Accepted, "3.2,FRM-004.1,FRM-004.2,FRM-004.9,FRM-045.1"),
    both(Rsv3Accepted, "3.1,FRM-004.3,FRM-004.4"),
    both(RsvAccepted, "3.*,!3.7,FRM-003.1,FRM-004.*,FRM-005.1,FRM-005.3,FRM-005.4")
        .worse("FRM-005.2,FRM-005.5"),
    both(StrayContinuationAccepted, "5.9,5.10,5.11,5.17,FRM-007.*"),
];

const MESSAGES: &[Row] = &[
    both(
        BinaryEchoedAsText,
        "1.2.*,9.2.*,9.4.*,9.6.*,9.8.*,DFL-006.3,FRM-023.1,FRM-025.3,FRM-031.5,FRM-031.6,UTF-011.2,UTF-011.3,DFL-003.*,DFL-004.5,DFL-004.6,DFL-004.7,DFL-011.7,DFL-017,DFL-022",
    ),
    both(ClosesAfterEcho, "1.1.2,5.3,9.7.1"),
    both(CrashAbove1MiB, "9.1.4,9.1.5,9.1.6,9.2.4,9.3.1,9.4.9").by_tcp(),
    both(EchoedTwice, "1.1.2,1.2.3,6.1.3,9.8.2,CLS-011.1,LIM-010.1").worse("LIM-013"),
    both(EmptyFramesDropped, "6.1.2,6.1.3,FRM-025.1,FRM-025.3,DFL-011.10"),
    both(HangsOnPong, "2.7,2.8,2.9,FRM-024.3,FRM-027.1,LIM-004").by_tcp(),
    both(LastByteLost, "1.1.2,1.1.8,1.2.2,5.3,6.2.2,9.1.1,9.3.3,9.6.2,9.8.4,10.1.1"),
    both(MessageLostAt(125), "1.1.2,1.2.2,FRM-035"),
    both(MessageLostAt(126), "1.1.3,1.2.3"),
    both(MessageLostAt(65535), "1.1.6,1.2.6"),
    both(MessageLostAt(65536), "1.1.7,1.2.7"),
    both(OrderSwapped, "FRM-035").worse("LIM-006.2"),
    both(PongEmpty, "2.2,2.3,2.4,2.6,2.9,2.10,2.11"),
    both(
        PongMissing,
        "2.1,2.2,2.3,2.4,2.6,2.9,2.10,2.11,5.6,5.7,5.8,5.19,5.20,FRM-011.*,FRM-024.1,FRM-024.2,FRM-026.1,FRM-038,UTF-011.1,LIM-010.2,DFL-027.1",
    )
    .worse("FRM-026.2"),
    both(PongOnlyToFirst, "2.10,2.11,5.19,5.20"),
    both(PongOther, "2.1,2.2,2.3,2.4"),
    both(PongTruncated, "2.2,2.4,2.6,2.9"),
    both(
        TextEchoedAsBinary,
        "1.1.*,5.3,5.4,5.5,5.6,5.15,5.19,6.1.*,6.2.*,6.5.*,6.6.2,6.6.5,6.6.7,6.6.9,6.6.11,6.7.*,\
         6.9.*,6.11.1,6.11.2,6.11.3,6.11.4,6.22.*,6.23.*,7.1.1,9.1.*,9.3.*,9.5.*,9.7.*,10.1.1,\
         FRM-001.10,FRM-019.2,DFL-013,FRM-023.2,FRM-024.1,FRM-024.2,FRM-024.3,FRM-025.1,FRM-025.2,FRM-027.1,FRM-031.1,FRM-031.2,\
         FRM-031.3,FRM-031.4,UTF-005.*,UTF-008.*,UTF-009.3,UTF-013.1,CLS-011.1,CLS-018.1,LIM-003,LIM-004,\
         LIM-010.1,LIM-017,DFL-001.*,!DFL-001.16,DFL-002.*,DFL-004.1,DFL-004.2,DFL-004.3,DFL-004.4,DFL-005.*,DFL-011.1,\
         DFL-011.2,DFL-011.3,DFL-011.4,DFL-011.5,DFL-011.6,DFL-011.8,DFL-011.9,DFL-011.11,DFL-014.*,DFL-015.1,\
         HSC-001.1,HSC-001.2,HSC-001.3,HSC-001.4,HSC-007.1,HSC-007.2,HSC-007.3,HSC-007.4,HSC-009.*,HSC-013.11,\
         HSC-015.*,HSC-016.3,HSC-033,HSS-009,HSS-012.3,HSS-028,HSS-029,HSS-034.1,HSS-034.2,HSS-035.1,HSS-037.1,\
         HSS-038.1,HSS-049.*,HSS-058.*,HSS-065,HSS-066.*,HSS-068.*",
    ),
    both(WritesCutShort, "1.1.6,FRM-038").worse("LIM-006.1").by_tcp(),
];

/// Every text of Autobahn's that is not UTF-8.
const BAD_TEXTS: &str = "6.3.*,6.4.*,6.6.1,6.6.3,6.6.4,6.6.6,6.6.8,6.6.10,6.8.*,6.10.*,6.11.5,6.12.*,\
                         6.13.*,6.14.*,6.15.*,6.16.*,6.17.*,6.18.*,6.19.*,6.20.*,6.21.*";

const TEXT: &[Row] = &[
    both(Utf8AstralRefused, "UTF-005.3,UTF-008.4,UTF-008.13,6.5.4,6.7.4,6.9.4,6.11.4,6.22.3"),
    both(Utf8AtFrameEnd, "").worse("6.4.3,6.4.4,UTF-007.1"),
    both(Utf8AtMessageEnd, "").worse("6.4.*,UTF-006.1,UTF-007.1"),
    both(Utf8BeyondLastAccepted, "UTF-003.1,UTF-003.2,UTF-003.3,6.4.1,6.4.2,6.4.3,6.4.4,6.10.1,6.11.5"),
    both(Utf8CheckedInBinary, "UTF-011.2,1.2.*,!1.2.1,9.2.*,9.4.1,9.8.2"),
    both(Utf8CutAtEndAccepted, "UTF-004.*,UTF-009.2,6.6.1,6.6.3,6.6.4,6.6.6,6.6.8,6.6.10,6.14.6,6.14.7"),
    both(Utf8EachFrameAlone, "UTF-005.1,UTF-005.2,UTF-005.3,UTF-005.4,6.2.3,6.2.4"),
    both(Utf8FeFfAccepted, "6.16.*"),
    both(Utf8InterruptedAccepted, "6.13.2"),
    both(Utf8LoneContinuationAccepted, "UTF-001.1,UTF-001.2,6.12.*"),
    both(Utf8LongFormsAccepted, "6.8.*,6.10.2,6.10.3,6.17.4,6.17.5,6.18.4,6.18.5,6.19.4,6.19.5"),
    both(Utf8NonCharactersRefused, "UTF-008.2,UTF-008.3,UTF-008.4,6.22.*,6.23.6,6.23.7"),
    both(Utf8OverlongAccepted, "UTF-001.3,UTF-001.4,UTF-001.5,UTF-001.6,6.17.1,6.17.2,6.17.3,6.18.1,6.18.2,6.18.3,6.19.1,6.19.2,6.19.3"),
    both(Utf8SpecialsRefused, "6.23.*"),
    both(Utf8SurrogatesAccepted, "UTF-002.*,6.3.*,6.20.*,6.21.*"),
    both(Utf8Unchecked, BAD_TEXTS).worse("UTF-001.*,UTF-002.*,UTF-003.*,UTF-004.*,UTF-006.*,UTF-007.*,UTF-009.1,UTF-009.2,UTF-013.2"),
    both(WrongCodeForText, BAD_TEXTS).worse("UTF-001.*,UTF-002.*,UTF-003.*,UTF-004.*,UTF-006.*,UTF-007.*,UTF-009.1,UTF-009.2,UTF-013.2,DFL-010.*"),
];

/// Autobahn's cases in which the peer must fail the connection with 1002.
const PROTOCOL_ERRORS: &str = "2.5,3.*,4.*,5.1,5.2,5.9,5.10,5.11,5.12,5.13,5.14,5.15,5.16,5.17,5.18,\
                               7.3.2,7.3.6,7.9.*,7.13.*";

/// Our own cases in which the peer must fail the connection with 1002.
const OUR_ERRORS: &str = "FRM-001.*,!FRM-001.10,FRM-002.*,FRM-003.*,FRM-004.*,FRM-005.*,FRM-006.*,FRM-007.*,\
                          FRM-008.*,FRM-009.*,FRM-010.*,FRM-012.*,FRM-013.*,FRM-045.*,FRM-046,CLS-002.*,CLS-003.*,\
                          CLS-006.2,CLS-006.3,CLS-007,CLS-010.1,DFL-015.2";

const CLOSING: &[Row] = &[
    both(BadCloseReasonAccepted, "7.5.1,CLS-005.*"),
    both(CloseAnsweredWith(1005), "7.1.1,7.3.1,7.3.3,7.7.1,7.7.13"),
    both(CloseAnsweredWithoutCode, "").worse("CLS-004.*,CLS-006.1,HSC-031.*"),
    both(
        CloseAnsweredWith(3333),
        "CLS-001,CLS-004.*,CLS-006.1,CLS-008.*,CLS-010.2,CLS-011.*,DFL-027.2,FRM-024.4,FRM-029,1.1.1,2.7,7.1.*,7.3.3,7.3.4,7.3.5,7.7.*",
    ),
    both(CloseCodeAccepted(0), "7.9.1").worse("CLS-003.1"),
    both(CloseCodeAccepted(999), "7.9.2").worse("CLS-003.4"),
    both(CloseCodeAccepted(1004), "7.9.3").worse("CLS-003.5"),
    both(CloseCodeAccepted(1005), "7.9.4").worse("CLS-003.6,CLS-003.15"),
    both(CloseCodeAccepted(1006), "7.9.5").worse("CLS-003.7"),
    both(CloseCodeAccepted(1016), "7.9.6").worse("CLS-003.9"),
    both(CloseCodeAccepted(1100), "7.9.7").worse("CLS-003.10"),
    both(CloseCodeAccepted(2000), "7.9.8").worse("CLS-003.11"),
    both(CloseCodeAccepted(2999), "7.9.9").worse("CLS-003.12,CLS-003.16"),
    both(CloseCodeAccepted(1), "").worse("CLS-003.2"),
    both(CloseCodeAccepted(500), "").worse("CLS-003.3"),
    both(CloseCodeAccepted(1015), "").worse("CLS-003.8"),
    both(CloseCodeAccepted(5000), "").worse("CLS-003.13"),
    both(CloseCodeAccepted(65535), "").worse("CLS-003.14"),
    both(CloseCodeRefused(1001), "7.7.2"),
    both(CloseCodeRefused(1011), "7.7.9"),
    both(CloseCodeRefused(3000), "7.7.10"),
    both(CloseCodeRefused(4999), "7.7.13"),
    both(CloseUnanswered, "7.1.*,7.3.1,7.3.3,7.3.4,7.3.5,7.7.*"),
    both(DropsOnClose, "7.1.1,7.3.1,7.3.3,7.7.3,CLS-001,CLS-004.1")
        .worse("CLS-004.10,CLS-004.11,CLS-004.12")
        .by_tcp(),
    server(EchoesAfterClose, "7.1.3,7.1.4,CLS-008.1,FRM-029"),
    client(EchoesAfterClose, "7.1.4,CLS-008.1,FRM-029"),
    both(FailureDropsTcp, "").worse(OUR_ERRORS).by_tcp(),
    both(FailureHangs, PROTOCOL_ERRORS).worse(OUR_ERRORS).by_tcp(),
    both(FailureHasNoCode, "").worse(OUR_ERRORS),
    both(LongCloseReasonRefused, "7.3.5,CLS-004.20,CLS-006.1"),
    both(OneByteCloseAccepted, "7.3.2,CLS-002.*"),
    both(TcpKeptAfterEof, "").worse("CLS-018.*,FRM-030.*").by_tcp(),
    server(TcpKeptOpen, "1.1.1,CLS-011.1,7.1.1,7.3.1,7.3.3,7.7.*").by_tcp(),
    both(WrongCodeForProtocol, PROTOCOL_ERRORS).worse(OUR_ERRORS),
    both(WrongCodeForSize, "").worse("FRM-014.*,FRM-019.1,LIM-015.*,DFL-006.1,DFL-006.2,DFL-008"),
    both(WrongCodeForText, "7.5.1"),
];

const DEFLATE: &[Row] = &[
    both(DeflateContextForgotten, "DFL-011.5,DFL-014.2,12.1.5,12.2.5,12.4.5,13.1.5"),
    both(DeflateContextKept, "DFL-005.1,DFL-005.4,13.2.3,13.2.5,13.5.4,13.6.4,13.7.5"),
    both(DeflateBombCut, "DFL-006.1,DFL-006.2,DFL-008"),
    both(DeflateCorruptAccepted, "DFL-010.*,!DFL-010.10").worse("DFL-010.10"),
    both(DeflateCorruptSent, "12.1.5,13.3.2"),
    both(DeflateLastBytesLost, "12.1.5,12.5.7"),
    both(DeflateNeverUsed, "12.1.5"),
    both(DeflateRsv1Missing, "12.*,13.*"),
    both(DeflateRsv1OnContinuation, "12.1.5"),
    both(DeflateRsv1OnContinuationAccepted, "FRM-005.1").worse("FRM-005.2,DFL-015.2"),
    both(DeflateRsv1OnControlAccepted, "FRM-005.3,FRM-005.4").worse("FRM-005.5"),
    both(DeflateTailRefused, "").worse("DFL-012.*"),
    both(DeflateUtf8Unchecked, "UTF-009.1"),
    client(DeflateWindowUnchecked, "").worse("DFL-016.*"),
    both(DeflateWindowTooLarge, "13.3.7,13.5.7"),
    server(PmdAnswerUnoffered, "12.1.1,DFL-004.1"),
    both(PmdParameterTwiceAccepted, "HSC-014.3,HSC-014.4,DFL-001.11,DFL-001.12"),
    both(
        PmdParametersUnchecked,
        "HSC-013.*,!HSC-013.5,!HSC-013.11,HSC-014.1,HSC-014.2,HSC-014.5,HSC-014.6,DFL-001.1,DFL-001.14",
    ),
    client(PmdTwiceTaken, "HSC-012.2,HSC-012.3,HSC-012.5"),
];
